// Signatures of messages, by Mojaloop's Signature v1.1.

package main

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

var (
	nSigned, nVerified, nUnsigned, nSampled atomic.Int64
	jwsMu                                   sync.Mutex
	jwsFailed                               = map[string]int64{}
	publicKeys                              = map[string]crypto.PublicKey{}
)

// sign appends the value of FSPIOP-Signature.
func (f *fsp) sign(b []byte, m *message, date string) []byte {
	var pb [512]byte
	p := appendAll(pb[:0], `{"alg":"`, f.alg, `","FSPIOP-URI":"`, m.uri, `","FSPIOP-HTTP-Method":"`, m.method, `","FSPIOP-Source":"`, f.name)
	if m.dst != "" {
		p = appendAll(p, `","FSPIOP-Destination":"`, m.dst)
	}
	p = appendAll(p, `","Date":"`, date, `"}`)
	bp := bufs.Get().(*[]byte)
	in := encode((*bp)[:0], p)
	n := len(in)
	in = encode(append(in, '.'), m.body)
	digest := sha256.Sum256(in)
	var sig []byte
	var err error
	k, isEC := f.key.(*ecdsa.PrivateKey)
	if i := nNonces.Add(1); isEC && i <= int64(len(nonces)) {
		sig = nonces[i-1].sign(k, digest[:])
	} else if sig, err = f.key.Sign(rand.Reader, digest[:], crypto.SHA256); err == nil && isEC {
		sig, err = fixed(sig)
	}
	if err != nil {
		panic(err)
	}
	b = encode(append(b, `{"signature":"`...), sig)
	b = append(append(append(b, `","protectedHeader":"`...), in[:n]...), `"}`...)
	*bp = in[:0]
	bufs.Put(bp)
	nSigned.Add(1)
	return b
}

// A nonce is the part of an ECDSA signature that needs neither key nor message, and needs nine tenths of its time.
// Computed before the run it costs the run nothing. Each is used once.
type nonce struct{ r, kInverse *big.Int }

var (
	nonces  []nonce
	nNonces atomic.Int64
	order   = elliptic.P256().Params().N
)

func (n *nonce) sign(k *ecdsa.PrivateKey, digest []byte) []byte {
	s := new(big.Int).Mul(n.r, k.D)
	s.Add(s, new(big.Int).SetBytes(digest))
	s.Mul(s.Mod(s, order), n.kInverse)
	out := make([]byte, 64)
	n.r.FillBytes(out[:32])
	s.Mod(s, order).FillBytes(out[32:])
	n.r, n.kInverse = nil, nil
	return out
}

func makeNonces(count int) {
	begun := time.Now()
	nonces = make([]nonce, count)
	const batch = 256 // inverted together: one modular inverse and some products instead of 256 inverses
	var next atomic.Int64
	var wg sync.WaitGroup
	for i := 0; i < runtime.GOMAXPROCS(0); i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				from := int(next.Add(batch)) - batch
				if from >= count {
					return
				}
				part := nonces[from:min(from+batch, count)]
				ks, products := make([]*big.Int, len(part)), make([]*big.Int, len(part))
				product := big.NewInt(1)
				for i := range part {
					k := must(ecdh.P256().GenerateKey(rand.Reader))
					ks[i] = new(big.Int).SetBytes(k.Bytes())
					part[i].r = new(big.Int).SetBytes(k.PublicKey().Bytes()[1:33])
					part[i].r.Mod(part[i].r, order)
					products[i] = product
					product = new(big.Int).Mul(product, ks[i])
					product.Mod(product, order)
				}
				inverse := new(big.Int).ModInverse(product, order)
				for i := len(part) - 1; i >= 0; i-- {
					x := new(big.Int).Mul(inverse, products[i])
					part[i].kInverse = x.Mod(x, order)
					inverse.Mod(inverse.Mul(inverse, ks[i]), order)
				}
			}
		}()
	}
	wg.Wait()
	fmt.Fprintf(os.Stderr, "%d signatures prepared in %.1f s\n", count, time.Since(begun).Seconds())
}

// fixed converts an ASN.1 SEQUENCE of two INTEGERs to r and s of 32 bytes each, as a JWS needs them.
func fixed(der []byte) ([]byte, error) {
	out := make([]byte, 64)
	rest := der[2:]
	for i := 0; i < 2; i++ {
		if len(rest) < 2 || rest[0] != 2 || len(rest) < 2+int(rest[1]) {
			return nil, errors.New("no ECDSA signature")
		}
		x := bytes.TrimLeft(rest[2:2+rest[1]], "\x00")
		if len(x) > 32 {
			return nil, errors.New("no ECDSA signature of P-256")
		}
		copy(out[32*i+32-len(x):], x)
		rest = rest[2+rest[1]:]
	}
	return out, nil
}

// checkSignature verifies a share of the callbacks and counts the faults; it refuses nothing.
func checkSignature(c *callback) {
	if string(c.method) == "GET" {
		return // requests without a body are not signed
	}
	n := float64(nSampled.Add(1))
	if math.Floor(n**jwsVerify) == math.Floor((n-1)**jwsVerify) {
		return
	}
	if len(c.sig) == 0 {
		nUnsigned.Add(1)
		return
	}
	nVerified.Add(1)
	if fault := signatureFault(c); fault != "" {
		logErr("signature of %s %s by %s: %s", c.method, c.path, c.src, fault)
		jwsMu.Lock()
		jwsFailed[fault]++
		jwsMu.Unlock()
	}
}

func signatureFault(c *callback) string {
	key := publicKeys[string(c.src)]
	if key == nil {
		return "no key of " + string(c.src)
	}
	text := jstr(c.sig, "protectedHeader")
	sig, err := b64.DecodeString(string(jstr(c.sig, "signature")))
	raw, err2 := b64.DecodeString(string(text))
	var p map[string]string
	if err != nil || err2 != nil || json.Unmarshal(raw, &p) != nil {
		return "malformed"
	}
	in := append(append([]byte(nil), text...), '.')
	digest := sha256.Sum256(encode(in, c.body))
	switch k := key.(type) {
	case *rsa.PublicKey:
		if p["alg"] != "RS256" {
			return "alg " + p["alg"]
		}
		err = rsa.VerifyPKCS1v15(k, crypto.SHA256, digest[:], sig)
	case *ecdsa.PublicKey:
		if p["alg"] != "ES256" || len(sig) != 64 {
			return "alg " + p["alg"]
		}
		if !ecdsa.Verify(k, digest[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])) {
			err = errors.New("wrong")
		}
	}
	dst, hasDst := p["FSPIOP-Destination"]
	date, hasDate := p["Date"]
	switch {
	case err != nil:
		return "not of this body and key"
	case p["FSPIOP-URI"] != string(c.uri) || p["FSPIOP-HTTP-Method"] != string(c.httpMethod) || p["FSPIOP-Source"] != string(c.src):
		return "of another URI, method or source"
	case !bytes.HasSuffix(c.path, c.uri) || !bytes.Equal(c.method, c.httpMethod):
		return "URI or method is not the request's"
	case hasDst != (len(c.dst) > 0) || hasDst && dst != string(c.dst):
		return "of another destination"
	case hasDate && date != string(c.date):
		return "of another date"
	}
	return ""
}

// blocks returns the keys and certificates of a PEM file.
func blocks(path string) []*pem.Block {
	b, err := os.ReadFile(path)
	if err != nil {
		fatal("%v", err)
	}
	var l []*pem.Block
	for {
		x, rest := pem.Decode(b)
		if x == nil {
			return l
		}
		if x.Type != "EC PARAMETERS" {
			l = append(l, x)
		}
		b = rest
	}
}

func readPrivateKey(path string) (crypto.Signer, string) {
	for _, x := range blocks(path) {
		var k any
		var err error
		switch x.Type {
		case "EC PRIVATE KEY":
			k, err = x509.ParseECPrivateKey(x.Bytes)
		case "RSA PRIVATE KEY":
			k, err = x509.ParsePKCS1PrivateKey(x.Bytes)
		default:
			k, err = x509.ParsePKCS8PrivateKey(x.Bytes)
		}
		if err != nil {
			fatal("%s: %v", path, err)
		}
		switch k := k.(type) {
		case *rsa.PrivateKey:
			return k, "RS256"
		case *ecdsa.PrivateKey:
			if k.Curve == elliptic.P256() {
				return k, "ES256"
			}
		}
	}
	fatal("%s: no RSA key and none of P-256", path)
	return nil, ""
}

func readPublicKeys() {
	files, _ := filepath.Glob(filepath.Join(*jwsDir, "*.pem"))
	for _, path := range files {
		for _, x := range blocks(path) {
			var k any
			var err error
			if x.Type == "CERTIFICATE" {
				var c *x509.Certificate
				if c, err = x509.ParseCertificate(x.Bytes); err == nil {
					k = c.PublicKey
				}
			} else {
				k, err = x509.ParsePKIXPublicKey(x.Bytes)
			}
			if err != nil {
				fatal("%s: %v", path, err)
			}
			publicKeys[strings.TrimSuffix(filepath.Base(path), ".pem")] = k
			break
		}
	}
}

// writeNew writes a file unless it exists; it reports whether it did.
func writeNew(path string, mode os.FileMode, kind string, der []byte) bool {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if errors.Is(err, os.ErrExist) {
		return false
	}
	if err == nil {
		err = pem.Encode(f, &pem.Block{Type: kind, Bytes: der})
		f.Close()
	}
	if err != nil {
		fatal("%v", err)
	}
	return true
}

func must[T any](x T, err error) T {
	if err != nil {
		fatal("%v", err)
	}
	return x
}

func newKey() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

// makeKeys makes the missing keys and never overwrites one; a missing public key is derived from the private one.
func makeKeys() {
	made := 0
	for _, dir := range []string{*jwsMake, *jwsPublic} {
		if dir != "" {
			must(0, os.MkdirAll(dir, 0o755))
		}
	}
	for _, n := range append(names(), *hubName) {
		path := filepath.Join(*jwsMake, n+".key")
		if _, err := os.Stat(path); err != nil {
			// The older format of an EC key: Mojaloop's SDK recognises it by its first line.
			writeNew(path, 0o600, "EC PRIVATE KEY", must(x509.MarshalECPrivateKey(newKey())))
			made++
		}
		k, _ := readPrivateKey(path)
		public := must(x509.MarshalPKIXPublicKey(k.Public()))
		writeNew(filepath.Join(*jwsMake, n+".pem"), 0o644, "PUBLIC KEY", public)
		if *jwsPublic != "" {
			writeNew(filepath.Join(*jwsPublic, n+".pem"), 0o644, "PUBLIC KEY", public)
		}
	}
	fmt.Fprintf(os.Stderr, "%d new keys of %d in %s\n", made, len(names())+1, *jwsMake)
}
