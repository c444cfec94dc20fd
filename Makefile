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
	proxy/wire:FuzzCollect \
	proxy/wire:FuzzLongResponses \
	proxy/wire:FuzzTrailingLiteral \
	proxy/translate:FuzzMove \
	proxy/translate:FuzzSet \
	proxy/translate:FuzzCopyUID \
	proxy/auth:FuzzPlain \
	proxy/auth:FuzzLogin \
	proxy/imaptest:FuzzLineString \
	routing:FuzzGlob
FUZZTIME ?= 60s
FUZZTIME_SMALL ?= 10s

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
STATICCHECK = go tool -modfile=tools.mod staticcheck

# What the steps leave out, a line each: the last step prints it.
LEFT_OUT = .left-out

# The race detector needs cgo, and that a C compiler; the product needs neither.
RACE := $(shell [ "$$(go env CGO_ENABLED)" = 1 ] && command -v "$$(go env CC)" >/dev/null && echo -race)

heading = @printf '\n== %s\n'

.PHONY: build test peers lint unit fuzz bench summary clean

build:
	$(heading) build
	CGO_ENABLED=0 go build -trimpath -ldflags '-X main.stamped=$(VERSION)' -o bin/imapgate ./cmd/imapgate

test: peers lint unit fuzz summary

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

fuzz:
	$(heading) 'fuzzing'
	@bash .ci/fuzz $(FUZZTIME) $(FUZZ) -- $(FUZZTIME_SMALL) $(FUZZ_SMALL)

bench:
	$(heading) benchmarks
	@go test -run '^$$' -bench . -benchmem ./...

summary:
	$(heading) 'left out'
	@if [ ! -s $(LEFT_OUT) ]; then echo nothing; \
	else cat $(LEFT_OUT); [ -z "$${IMAPGATE_REQUIRE_PEERS:-}" ] || { echo 'IMAPGATE_REQUIRE_PEERS is set, so nothing may be left out'; exit 1; }; fi

clean:
	rm -rf bin $(LEFT_OUT) $(LEFT_OUT).peers
