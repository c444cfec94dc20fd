# `make test` is the whole check. It sets up what the tests need, says what it leaves out, and ends
# with an error at the first step that fails.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:

# Fuzz targets, package:Function. Those that read what peers send get FUZZTIME each, the small ones
# FUZZTIME_SMALL. `make fuzz` fails when a target is missing here.
FUZZ = \
	proxy/wire:FuzzCommands \
	proxy/wire:FuzzResponses \
	proxy:FuzzRelay
FUZZ_SMALL = \
	proxy/translate:FuzzGate \
	proxy:FuzzAlikeAnswers \
	proxy:FuzzAlikeCommands \
	proxy:FuzzHeader \
	proxy/wire:FuzzCollect \
	proxy/wire:FuzzInflate \
	proxy/wire:FuzzLoadPart \
	proxy/wire:FuzzLongResponses \
	proxy/wire:FuzzTrailingLiteral \
	proxy/translate:FuzzDecoders \
	proxy/translate:FuzzList \
	proxy/translate:FuzzListLine \
	proxy/translate:FuzzMove \
	proxy/translate:FuzzProgram \
	proxy/translate:FuzzUIDMap \
	proxy/translate:FuzzUIDMapHostile \
	proxy/translate:FuzzSet \
	proxy/translate:FuzzID \
	proxy/translate:FuzzCopyUID \
	proxy/translate:FuzzQuirks \
	proxy/translate:FuzzQuirkCommands \
	proxy/translate:FuzzNames \
	proxy/translate:FuzzMatches \
	proxy/translate:FuzzNameTokens \
	proxy/auth:FuzzPlain \
	proxy/auth:FuzzLogin \
	proxy/auth:FuzzBearer \
	proxy/auth:FuzzFailure \
	proxy/imaptest:FuzzLineString \
	routing:FuzzGlob \
	routing/lookup/usersfile:FuzzParse
FUZZTIME ?= 60s
FUZZTIME_SMALL ?= 10s

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)

# The architecture of the Debian package, as Debian calls it: amd64, arm64, riscv64 and so on.
DEB_ARCH ?= $(shell dpkg --print-architecture 2>/dev/null || go env GOARCH)

STATICCHECK = go tool -modfile=tools.mod staticcheck

# What the steps leave out, a line each: the last step prints it.
LEFT_OUT = .left-out

# The race detector needs cgo, and that a C compiler; the product needs neither.
RACE := $(shell [ "$$(go env CGO_ENABLED)" = 1 ] && command -v "$$(go env CC)" >/dev/null && echo -race)

heading = @printf '\n== %s\n'

.PHONY: build test peers lint unit forced fuzz exact bench-short bench bench-peers soak deb check-deploy summary clean

build:
	$(heading) build
	CGO_ENABLED=0 go build -trimpath -ldflags '-X main.stamped=$(VERSION)' -o bin/imapgate ./cmd/imapgate

test: peers lint unit forced exact bench-short check-deploy fuzz summary

# Real servers and clients for the tests in front of and behind the proxy.
peers:
	$(heading) 'real peers'
	@bash .ci/peers | tee $(LEFT_OUT).peers
	@grep 'LEFT OUT' $(LEFT_OUT).peers >$(LEFT_OUT) || true

lint:
	$(heading) gofmt
	@bad=$$("$$(go env GOROOT)/bin/gofmt" -l .); [ -z "$$bad" ] || { echo "not formatted, run gofmt -w:"; echo "$$bad"; exit 1; }
	$(heading) 'go vet'
	@go vet ./...
	$(heading) staticcheck
	@$(STATICCHECK) ./...

# Not from the cache: the go command does not see that a real peer was installed or replaced.
unit:
	$(heading) 'go test $(RACE)'
	@[ -n '$(RACE)' ] || echo 'race detector: LEFT OUT, there is no C compiler' | tee -a $(LEFT_OUT)
	@go test $(RACE) -count=1 -timeout 30m ./...

# Sessions, injuries and real peers once more: readers give up their goroutine at every boundary, and every literal
# goes by a pipe of the kernel where there is one. Without the race detector, for the sake of time.
forced:
	$(heading) 'go test, parked at every boundary and spliced wherever it can be'
	@IMAPGATE_TEST_PARK=always IMAPGATE_TEST_SPLICE=always go test -count=1 -timeout 20m ./proxy ./cmd/imapgate

# What the race detector hides or makes too slow: allocations, which are exact, and as many sessions as there
# may be open files.
EXACT = Alloc|PeersCrowd
exact:
	$(heading) 'go test, $(EXACT)'
	@ulimit -n "$$(ulimit -Hn)"; go test -count=1 -run '$(EXACT)' ./proxy/... ./cmd/imapgate

# The benchmarks of the hot paths, briefly: for the eye, since times differ from machine to machine.
bench-short:
	$(heading) 'benchmarks, briefly'
	@go test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) ./proxy ./proxy/wire ./routing
BENCHTIME ?= 200ms

fuzz:
	$(heading) 'fuzzing'
	@bash .ci/fuzz $(FUZZTIME) $(FUZZ) -- $(FUZZTIME_SMALL) $(FUZZ_SMALL)

bench:
	$(heading) benchmarks
	@go test -run '^$$' -bench . -benchmem ./...

# imapgate beside nginx, Dovecot, haproxy, imapproxy and a relay that only copies, as one table: half an hour, or
# some five minutes with BENCH_PEERS=-quick. BENCH_PEERS takes any flags of `imapload compare`. No part of `make test`.
bench-peers: build
	$(heading) 'peers to compare'
	@bash .ci/peers bench
	CGO_ENABLED=0 go build -trimpath -o bin/imapload ./cmd/imapload
	$(heading) 'comparison'
	@ulimit -n "$$(ulimit -Hn)"; bin/imapload compare -imapgate bin/imapgate $(BENCH_PEERS)

# Mixed load on imapgate with sessions coming and going, for SOAK: does it grow? SOAK_FLAGS takes any flags of
# `imapload soak`. It takes about a quarter of a processor. No part of `make test`.
SOAK ?= 1h
soak: build
	CGO_ENABLED=0 go build -trimpath -o bin/imapload ./cmd/imapload
	$(heading) 'soak for $(SOAK)'
	@ulimit -n "$$(ulimit -Hn)"; bin/imapload soak -imapgate bin/imapgate -duration $(SOAK) $(SOAK_FLAGS)

# A Debian package in bin, bin/imapgate.deb for short.
deb:
	$(heading) 'Debian package'
	@CGO_ENABLED=0 GOOS=linux GOARCH=$(DEB_ARCH:ppc64el=ppc64le) go build -trimpath -ldflags '-s -w -X main.stamped=$(VERSION)' -o bin/deb/imapgate ./cmd/imapgate
	@bash deploy/debian/build bin/deb/imapgate '$(VERSION)' $(DEB_ARCH) bin

# What runs imapgate, read by the tools that will read it.
check-deploy:
	@if command -v dpkg-deb >/dev/null; then $(MAKE) --no-print-directory deb; fi
	$(heading) deploy
	@if command -v dpkg-deb >/dev/null; then bash deploy/check bin/deb/imapgate bin/imapgate.deb | tee $(LEFT_OUT).deploy; \
	else echo 'deploy: LEFT OUT: not Debian' | tee $(LEFT_OUT).deploy; fi
	@grep 'LEFT OUT' $(LEFT_OUT).deploy >>$(LEFT_OUT) || true

summary:
	$(heading) 'left out'
	@if [ ! -s $(LEFT_OUT) ]; then echo nothing; \
	else cat $(LEFT_OUT); [ -z "$${IMAPGATE_REQUIRE_PEERS:-}" ] || { echo 'IMAPGATE_REQUIRE_PEERS is set, so nothing may be left out'; exit 1; }; fi

clean:
	rm -rf bin $(LEFT_OUT) $(LEFT_OUT).peers $(LEFT_OUT).deploy
