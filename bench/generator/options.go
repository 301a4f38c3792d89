// The command line's options, and the variables that follow from them.

package main

import (
	"flag"
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

var (
	hub        = flag.String("hub", "http://127.0.0.1:4000", "base URL of the hub's FSPIOP transfer API")
	hubPut     = flag.String("hub-put", "", "base URL for PUT /transfers/{id} (default: -hub)")
	listen     = flag.String("listen", "127.0.0.1:14040", "callback receiver address (all FSPs; any path prefix)")
	rate       = flag.Float64("rate", 0, "open-loop rate, transfers/s (0: closed loop)")
	arrival    = flag.String("arrival", "uniform", "open loop: uniform | poisson")
	conc       = flag.Int("c", 50, "closed-loop concurrency")
	warm       = flag.Float64("warmup", 20, "warm-up seconds")
	dur        = flag.Float64("duration", 30, "measured seconds")
	drain      = flag.Float64("drain", 15, "seconds to wait for stragglers at the end")
	timeout    = flag.Float64("timeout", 30, "seconds after which a transfer counts as timed out")
	payers     = flag.String("payers", "payerfsp1,payerfsp2,payerfsp3,payerfsp4", "payer FSP ids")
	payees     = flag.String("payees", "payeefsp1,payeefsp2,payeefsp3,payeefsp4", "payee FSP ids")
	hot        = flag.Float64("hot", 0, "share of load sent by the first payer (0: even)")
	pairsF     = flag.String("pairs", "", "explicit distribution payer:payee:weight,... or 'whitepaper' (first 4 payers/payees, 70% by the first payer, 49% first->first)")
	ctype      = flag.String("content-type", "application/vnd.interoperability.transfers+json;version=1.1", "Content-Type of POST and PUT")
	accept     = flag.String("accept", "application/vnd.interoperability.transfers+json;version=1", "Accept of POST")
	state      = flag.String("state", "COMMITTED", "transferState in the payee's PUT: COMMITTED | RESERVED")
	amount     = flag.String("amount", "1", "amount")
	currency   = flag.String("currency", "USD", "currency")
	expiry     = flag.Float64("expiry", 300, "transfer expiration, seconds from now")
	ilpFile    = flag.String("ilp-packet", "", "file with an ilpPacket (default: built in)")
	ids        = flag.String("ids", "uuid", "transferId: uuid | ulid")
	pids       = flag.String("pids", "", "CPU accounting: name=pid[+pid..],... (e.g. kafka=12,mysql=34)")
	pidDir     = flag.String("pid-dir", "", "CPU accounting: directory with NAME.pid files")
	label      = flag.String("label", "", "label copied to the output")
	out        = flag.String("out", "", "append the JSON line to this file as well")
	logErrors  = flag.Int("log-errors", 5, "print the first N errors to stderr")
	payeeDelay = flag.Float64("payee-delay-ms", 0, "payee think time before the PUT")
	preflight  = flag.Bool("preflight", true, "send one transfer first and abort if it does not complete")

	stages      = flag.String("stages", "transfer", "unit of work: transfer | payment (lookup, quote and transfer)")
	hubParties  = flag.String("hub-parties", "", "payment: base URL of /parties (default: -hub, PUTs as -hub-put)")
	hubQuotes   = flag.String("hub-quotes", "", "payment: base URL of /quotes (default: -hub, PUTs as -hub-put)")
	nParties    = flag.Int("parties", 100, "payment: parties of each payee, as provision.py -parties registered them")
	engine      = flag.String("http", "", "HTTP: std (net/http) | fast (own, a third of the CPU); default: std for -stages transfer, fast for payment")
	idleS       = flag.Float64("idle", 4, "seconds after which an idle connection to the hub is not used any more")
	jwsDir      = flag.String("jws", "", "sign every POST and PUT with the sender's DIR/FSP.key (PEM; RSA: RS256, P-256: ES256)")
	jwsPrepare  = flag.Int("jws-prepare", 100_000, "ES256: how many signatures to prepare before the start (20 us each); those cost a tenth later")
	jwsVerify   = flag.Float64("jws-verify", 0, "share (0 to 1) of the callbacks whose signature is verified with the source's DIR/NAME.pem of -jws")
	jwsMake     = flag.String("jws-make", "", "make ES256 pairs DIR/FSP.key and DIR/FSP.pem for all FSPs and the hub, and exit")
	jwsPublic   = flag.String("jws-public", os.Getenv("CLEARINGHUB_JWS_KEYS_DIR"), "-jws-make: put the public keys here, too")
	tlsDir      = flag.String("tls", "", "https both ways: DIR/ca.crt, the FSPs' DIR/FSP.crt and .key, the listener's DIR/server.crt and .key")
	tlsMake     = flag.String("tls-make", "", "make a CA and certificates for the hub, all FSPs and the listener in DIR, and exit")
	tlsHosts    = flag.String("tls-hosts", "", "-tls-make: more names and addresses of hub and listener (always: localhost, 127.0.0.1, ::1)")
	hubName     = flag.String("hub-name", "Hub", "-jws-make, -tls-make: the hub's own name")
	stub        = flag.String("stub", "", "run as a stub hub on this address instead: it answers, forwards, and checks nothing but TLS names")
	stubCb      = flag.String("stub-callbacks", "", "-stub: base URL of the generator's listener (default: http(s)://127.0.0.1:14040)")
	stubConfirm = flag.Bool("stub-confirm", true, "-stub: confirm a commit to the payee, as the hub does")
	stubFail    = flag.Float64("stub-fail", 0, "-stub: share of requests that are refused (503) and, once more, that are answered with an error")
)

const (
	sParties = iota
	sQuotes
	sTransfers
)

var (
	stageNames                                       = [3]string{"parties", "quotes", "transfers"}
	resTransfers, resQuotes, resParties              resource
	ask, answer                                      [3]string // base URLs by stage: of requests, and of the PUTs that answer them
	fsps                                             map[string]*fsp
	origins                                          = map[string]*origin{}
	patience                                         time.Duration // -timeout
	minor                                            uint64        // -amount in cents
	processors                                       = runtime.GOMAXPROCS(0)
	nOpened, nAccepted, nAgain, nRefused, nConfirmed atomic.Int64
	errMu                                            sync.Mutex
	errByStage                                       = [3]map[string]int64{{}, {}, {}}
	stageRecs                                        []stageRec // one for each payment, in the order of recs
)

// resource has the media types of a kind of message.
type resource struct{ ctype, accept string }

// stageRec has the milliseconds of each stage, from just before the request to the callback, and to the hub's answer.
type stageRec [3]struct{ received, answered float32 }

// origin is a base URL, split into its parts.
type origin struct {
	tls                     bool
	host, addr, authority   string
	prefix                  string
	lines, linesAcc, noBody [3]string // request line's end and the headers that never change, by stage
}

func fatal(f string, a ...any) {
	fmt.Fprintf(os.Stderr, f+"\n", a...)
	os.Exit(2)
}

func isSet(name string) (set bool) {
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return
}

func setUp() {
	switch {
	case *jwsMake != "":
		makeKeys()
		os.Exit(0)
	case *tlsMake != "":
		makeCertificates()
		os.Exit(0)
	case *stages != "transfer" && *stages != "payment":
		fatal("-stages is transfer or payment")
	case *jwsVerify > 0 && *jwsDir == "":
		fatal("-jws-verify needs -jws")
	}
	if *engine == "" {
		*engine = map[string]string{"transfer": "std", "payment": "fast"}[*stages]
	}
	if *engine != "std" && *engine != "fast" {
		fatal("-http is std or fast")
	}
	if *tlsDir != "" && !isSet("hub") {
		*hub = strings.Replace(*hub, "http://", "https://", 1)
	}
	or := func(s ...string) string {
		for _, x := range s {
			if x != "" {
				return x
			}
		}
		return ""
	}
	ask = [3]string{or(*hubParties, *hub), or(*hubQuotes, *hub), *hub}
	answer = [3]string{or(*hubParties, *hubPut, *hub), or(*hubQuotes, *hubPut, *hub), or(*hubPut, *hub)}
	patience = time.Duration(*timeout * 1e9)
	for i, r := range []*resource{&resParties, &resQuotes, &resTransfers} {
		name := "." + stageNames[i] + "+"
		r.ctype, r.accept = strings.Replace(*ctype, ".transfers+", name, 1), strings.Replace(*accept, ".transfers+", name, 1)
	}
	for s := range stageNames {
		newOrigin(ask[s])
		newOrigin(answer[s])
	}
	x, err := strconv.ParseFloat(*amount, 64)
	if err != nil {
		fatal("-amount: %v", err)
	}
	minor = uint64(math.Round(x * 100))
	if *stub != "" {
		saveCPU()
		runStub()
	}
	if *jwsDir != "" {
		readPublicKeys()
	}
	go sweep()
}

func names() []string {
	var l []string
	seen := map[string]bool{}
	for _, n := range strings.Split(*payers+","+*payees, ",") {
		if !seen[n] {
			seen[n] = true
			l = append(l, n)
		}
	}
	return l
}
