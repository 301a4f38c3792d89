"""The FSPIOP API v1.1 as the hub serves it: headers, bodies, and the record that each request becomes."""
