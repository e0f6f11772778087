#!/usr/bin/env bash
# The one face of this project, and the cargo runner: does what must be done before there is a
# compiler, compiles host/xtask and hands over to it, which does what `./run.sh --help` lists.
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
help=$here/host/xtask/src/help.txt
target=x86_64-unknown-none
debian_rustc=/usr/bin/rustc
toolchain= scratch=

say() { printf 'run: %s\n' "$*" >&2; }
# The probe's status 1 is about the device.
failed=1 && [ "${1:-}" != probe ] || failed=2
fail() { say "failed: $*" && exit $failed; }

export SETUP_TIMEOUT=${SETUP_TIMEOUT:-600}
[[ $SETUP_TIMEOUT =~ ^[1-9][0-9]{0,4}$ ]] ||
    fail "SETUP_TIMEOUT=$SETUP_TIMEOUT: a number from 1 to 99999"

# Cargo starts the runner in another directory.
[[ ${QEMU:-} != [!/]*/* ]] || export QEMU="$PWD/$QEMU"

# Where cargo builds, as it sees it from the top of the project.
target_directory() { (cd "$here" && realpath -m "${CARGO_TARGET_DIR:-target}"); }

# What cargo says in many lines, or in the middle of a build.
check_directories() {
    local directory free_mib
    scratch=$(mktemp -d 2>/dev/null) && trap 'rm -rf "$scratch"' EXIT &&
        head -c 1M /dev/zero 2>/dev/null >"$scratch/room" && rm "$scratch/room" ||
        fail "no room for logs in TMPDIR=${TMPDIR:-/tmp}: set TMPDIR to a directory that has some"
    directory=$(target_directory)
    { mkdir -p "$directory" && touch "$directory/.writable"; } 2>/dev/null ||
        fail "$directory cannot be written: set CARGO_TARGET_DIR to a directory that can"
    rm -f "$directory/.writable"
    free_mib=$(df -Pm "$directory" 2>/dev/null | awk 'NR == 2 { print $4 }')
    [ "${free_mib:-100}" -ge 100 ] ||
        fail "$directory has $free_mib MiB left: make room (a build takes 2 GiB)," \
            "or set CARGO_TARGET_DIR"
}

# Runs a step of the set-up, for a bounded time and asking nothing.
bounded() { timeout --foreground -k 5 "$SETUP_TIMEOUT" "$@" </dev/null; }
is_root() { [ "$(id -u)" = 0 ]; }
can_be_root() { is_root || { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }; }
as_root() { if is_root; then bounded "$@"; else bounded sudo -n "$@"; fi; }

# Most mirrors answer within seconds; one that does not is none.
apt_update() {
    local acquire=(-o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20)
    as_root apt-get "${acquire[@]}" update
}

# apt_install WHY PACKAGE..: installs packages or says in one line what to do instead.
apt_install() {
    local why=$1 log=$scratch/apt
    shift
    local by_hand="apt-get install --no-install-recommends $*"
    command -v apt-get >/dev/null ||
        fail "$why, and no apt-get to install it: docs/CONTRIBUTING.md, Set-up, says what is needed"
    can_be_root || fail "$why, and this is neither root nor sudo without a password:" \
        "'sudo $by_hand' installs it"
    say "$why: installing $*"
    # Lists first: with old ones apt installs what is too old, or finds nothing. Without the network
    # what is cached may do.
    apt_update >"$log" 2>&1
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=60 install -y --no-install-recommends "$@" >>"$log" 2>&1
    case $? in
    0) ;;
    124 | 137) fail "$why: apt-get did not end in $SETUP_TIMEOUT s: is there a network?" \
        "'$by_hand' installs it" ;;
    *) fail "$why: '$by_hand' failed:" \
        "$(grep '^E: ' "$log" | head -n 1 | grep . || tail -n 1 "$log")" ;;
    esac
}

# At the top of the project rustup sees which toolchain it is.
at_top() { (cd "$here" && "$@"); }

# Debian's compiler: new enough, with the source of `core` beside it.
has_debian_rust() {
    local version
    version=$($debian_rustc --version 2>/dev/null | sed -E 's/^rustc 1\.([0-9]+).*/\1/')
    [ "$version" -ge 95 ] 2>/dev/null &&
        [ -e "$($debian_rustc --print sysroot)/lib/rustlib/src/rust/library/core/src/lib.rs" ]
}

has_native_target() {
    local directory
    directory=$(at_top bounded rustc --print target-libdir --target $target 2>/dev/null) &&
        compgen -G "$directory/libcore-*.rlib" >/dev/null
}

# A rustup without the toolchain has a `cargo` that does nothing but fetch it.
has_cargo() { command -v cargo >/dev/null && at_top bounded cargo --version >/dev/null 2>&1; }

# Which compiler builds the kernel: `native` or `debian`.
find_toolchain() {
    has_cargo || return
    has_native_target && toolchain=native && return
    has_debian_rust && toolchain=debian
}

setup_rust() {
    find_toolchain && return
    if command -v rustup >/dev/null; then
        say "adding the target $target"
        at_top bounded rustup target add $target >"$scratch/rustup" 2>&1 && find_toolchain && return
        say "rustup cannot add it here: $(tail -n 1 "$scratch/rustup")"
    fi
    if has_cargo; then
        apt_install "no compiler for $target" rustc-web rust-web-src
    else
        apt_install "no Rust" cargo-web rustc-web rust-web-src rust-web-clippy gcc libc6-dev
        hash -r
        has_cargo || fail "$(command -v cargo) does not run: 'cargo --version' says why"
    fi
    find_toolchain && return
    [ -x $debian_rustc ] && say "found $($debian_rustc --version);" \
        "1.95 or later is needed (Debian 12: bookworm-security)"
    fail "no compiler for $target: install rustup, then run 'rustup target add $target'"
}

# Compiles host/xtask where this source has not been compiled yet: by rustc alone, in seconds, since
# cargo, which starts this as its runner, holds the lock of its own builds.
hand_over() {
    local directory source xtask
    directory=$(target_directory)/xtask
    source=$(cd "$here/host/xtask/src" &&
        find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum)
    xtask=$directory/${source:0:16}
    if [ ! -x "$xtask" ]; then
        [ -n "$scratch" ] || check_directories
        say "compiling host/xtask, which takes some seconds"
        mkdir -p "$directory" && find "$directory" -type f -mtime +1 -delete &&
            at_top rustc --edition 2024 -o "$scratch/xtask" --crate-name xtask \
                host/xtask/src/main.rs && mv "$scratch/xtask" "$xtask" ||
            fail "host/xtask does not build"
    fi
    rm -rf "$scratch"
    XTASK_ROOT=$here XTASK_TOOLCHAIN=$toolchain exec "$xtask" "$@"
}

# help_of WORD..: what the help says of the commands that begin so; fails where it says nothing.
help_of() {
    awk -v start="./run.sh $*" '/^\.\/run\.sh/ || /^$/ { is_of_it = index($0 " ", start " ") == 1 }
        is_of_it { print; is_there = 1 } END { exit !is_there }' "$help"
}

case ${!#} in
# The device's own options are its program's to tell.
-h | --help) [ "$1" = device ] || ! { help_of "${@:1:2}" || help_of "$1"; } || exit 0 ;;
esac
case ${1:-} in
-h | --help | help) exec cat "$help" ;;
# What xtask calls back for: packages, and apt's lists alone.
--install) check_directories && apt_install "${@:2}" && exit ;;
--update) can_be_root && apt_update >/dev/null 2>&1; exit ;;
-*) say "no such option: $1; ./run.sh --help lists them" && exit 2 ;;
"" | app | demo | test | lint | bench | bench-guest | probe | device | linux-guest | setup | env |\
    fuzz | mutants | soak | miri | sanitize | deny | semver)
    check_directories && setup_rust ;;
# Needs no kernel, and installs nothing where any compiler is.
qemu) check_directories && { at_top bounded rustc --version >/dev/null 2>&1 || setup_rust; } ;;
*) [ -f "$1" ] || { say "no such command or file: $1; ./run.sh --help lists them" && exit 2; } ;;
esac
hand_over "$@"
