#!/bin/sh
# The example in Go builds with an installed package, through pkg-config; what it records is there
# when it is run again; a failed call is an error with the library's words.
. "$SOURCE/tests/package/helpers.sh"
need go gofmt pkg-config
[ -z "$(gofmt -l "$SOURCE/examples_c/go")" ] || fail "gofmt: $(gofmt -d "$SOURCE/examples_c/go")"
install_and_move

PKG_CONFIG_PATH=$(dirname "$(find "$PWD/moved" -name flashstrike_wal.pc)")
LD_LIBRARY_PATH=$(dirname "$PKG_CONFIG_PATH")
export PKG_CONFIG_PATH LD_LIBRARY_PATH
# What go has built is kept for the next time.
export GOCACHE="$BUILD/go" GOFLAGS="-trimpath -buildvcs=false" GOTOOLCHAIN=local
(cd "$SOURCE/examples_c/go" && go vet . && go build -o "$OLDPWD/engine" .) || fail "go build"
loads_shared ./engine "$PWD/moved/"

[ "$(./engine log)" = "replayed 0 requests, quantity 0
recorded up to 1000, quantity 100000" ] || fail "the first run"
[ "$(./engine log)" = "replayed 1000 requests, quantity 100000
recorded up to 2000, quantity 200000" ] || fail "the second run"
refused "engine: open: " ./engine "$PWD/moved/include/flashstrike_wal.h"
