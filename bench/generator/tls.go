// TLS in both directions, and certificates to try it with.

package main

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func caPool() *x509.CertPool {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(must(os.ReadFile(filepath.Join(*tlsDir, "ca.crt")))) {
		fatal("%s/ca.crt has no certificate", *tlsDir)
	}
	return pool
}

func certificate(name string) []tls.Certificate {
	path := filepath.Join(*tlsDir, name)
	return []tls.Certificate{must(tls.LoadX509KeyPair(path+".crt", path+".key"))}
}

// TLS records have their full size from the first on; otherwise a request needs several, each with a system call.
func clientTLS(name string) *tls.Config {
	return &tls.Config{Certificates: certificate(name), RootCAs: caPool(), MinVersion: tls.VersionTLS12, DynamicRecordSizingDisabled: true}
}

// serverTLS requires a client certificate of the CA, with the name client unless that is empty.
func serverTLS(name, client string) *tls.Config {
	return &tls.Config{Certificates: certificate(name), ClientCAs: caPool(), ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12,
		DynamicRecordSizingDisabled: true, SessionTicketsDisabled: true, NextProtos: []string{"http/1.1"},
		VerifyConnection: func(s tls.ConnectionState) error {
			if cn := s.PeerCertificates[0].Subject.CommonName; client != "" && cn != client {
				return fmt.Errorf("client certificate of %q, only that of %q is accepted", cn, client)
			}
			return nil
		}}
}

// hubCN returns the name in the hub's certificate; if hub.crt is missing, every certificate of the CA counts as the hub's.
func hubCN() string {
	path := filepath.Join(*tlsDir, "hub.crt")
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return must(x509.ParseCertificate(blocks(path)[0].Bytes)).Subject.CommonName
}

// makeCertificates makes the missing certificates and never overwrites one.
func makeCertificates() {
	must(0, os.MkdirAll(*tlsMake, 0o755))
	made := 0
	serial := func() *big.Int { return must(rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))) }
	// write makes NAME.key and NAME.crt; without a parent the certificate signs itself.
	write := func(name string, t *x509.Certificate, parent *x509.Certificate, parentKey crypto.Signer) {
		path := filepath.Join(*tlsMake, name)
		if _, err := os.Stat(path + ".crt"); err == nil {
			return
		}
		made++
		t.SerialNumber, t.NotBefore, t.NotAfter = serial(), time.Now().Add(-time.Hour), time.Now().AddDate(10, 0, 0)
		if _, err := os.Stat(path + ".key"); err != nil {
			writeNew(path+".key", 0o600, "EC PRIVATE KEY", must(x509.MarshalECPrivateKey(newKey())))
		}
		key, _ := readPrivateKey(path + ".key")
		if parent == nil {
			parent, parentKey = t, key
		}
		writeNew(path+".crt", 0o644, "CERTIFICATE", must(x509.CreateCertificate(rand.Reader, t, parent, key.Public(), parentKey)))
	}
	write("ca", &x509.Certificate{Subject: pkix.Name{CommonName: "loadgen CA"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}, nil, nil)
	ca := must(x509.ParseCertificate(blocks(filepath.Join(*tlsMake, "ca.crt"))[0].Bytes))
	caKey, _ := readPrivateKey(filepath.Join(*tlsMake, "ca.key"))
	leaf := func(cn string, usage ...x509.ExtKeyUsage) *x509.Certificate {
		return &x509.Certificate{Subject: pkix.Name{CommonName: cn}, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: usage}
	}
	here := func(t *x509.Certificate) *x509.Certificate {
		t.DNSNames = append(t.DNSNames, "localhost")
		t.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
		for _, h := range strings.Split(*tlsHosts, ",") {
			if ip := net.ParseIP(h); ip != nil {
				t.IPAddresses = append(t.IPAddresses, ip)
			} else if h != "" {
				t.DNSNames = append(t.DNSNames, h)
			}
		}
		return t
	}
	write("hub", here(leaf(*hubName, x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth)), ca, caKey)
	write("server", here(leaf("callbacks", x509.ExtKeyUsageServerAuth)), ca, caKey)
	for _, n := range names() {
		t := leaf(n, x509.ExtKeyUsageClientAuth)
		t.DNSNames = []string{n}
		write(n, t, ca, caKey)
	}
	fmt.Fprintf(os.Stderr, "%d new certificates of %d in %s\n", made, len(names())+3, *tlsMake)
}
