"""Signatures of FSPIOP messages: detached compact JWS over the body's bytes (Signature v1.1; protocol 10.1).

`signature.py` signs and verifies, `key_directory.py` knows the participants' public keys, `key_files.py` reads and
writes keys.
"""
