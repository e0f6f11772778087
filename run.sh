#!/usr/bin/env bash
# The one QEMU command line of this project, and the set-up of a fresh machine. See usage below.
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
target=x86_64-unknown-none

usage() {
    cat <<'EOF'
./run.sh                     set up what is missing, build the kernel, boot its demonstration
./run.sh demo [words]         the same, optimised less, with words: polling, intx (VECTORS=0)
./run.sh test [filter]       every test: the driver on this host, the kernel in QEMU, runs that must fail
./run.sh bench [name] [key=value ..]
                             measure: instructions control-sessions device-limit interrupt-race
                             aes-cbc akcipher, or all; clock, which is not one of all, compares the
                             guest's clock with the host's (boots=50); words narrow down
                             (workers=8 vcpus=2 mode=wait placement=shared-core ioeventfd=on ..) or
                             change what is measured (idle=poll, cpus=1: workers on one CPU); see
                             target/bench/report.html
./run.sh bench --peer linux [key=value ..]
                             measure Linux's own driver beside this one, in the same QEMU
./run.sh linux-guest [words] boot Debian's kernel with what measures its driver alone
./run.sh probe [--dangerous=NAME,..] [option=value,..]
                             find out what a device does, beside what it says and what the
                             specification obliges it to, with more options for QEMU's -device
                             virtio-crypto-pci (event_idx=off,indirect_desc=off ..); by name only,
                             what breaks a device (short-header short-answer short-key
                             unequal-lengths short-source empty-descriptor writable-first
                             over-max-size no-iv short-digest) or ends QEMU (verify-without-digest
                             cipher-on-akcipher akcipher-on-cipher empty-digest)
./run.sh bench-guest NAME [words]
                             boot one program of kernel/benches alone: control-sessions
                             device-limit interrupt-race data-queue akcipher instructions clock
./run.sh lint                formatting, clippy and documentation, with warnings denied
./run.sh ELF [words]         boot a kernel binary with words on its command line (the cargo runner)
./run.sh setup               set up what is missing, and nothing else
./run.sh env                 print the variables that plain cargo needs here: eval "$(./run.sh env)"
./run.sh --help              this text

The machine, by environment variables; they win over what a test binary asks for:
  SMP=1            CPUs, 64 at most
  MEM=256M         memory
  MACHINE=q35      or pc
  ACCEL=           accelerator; default KVM where the CPU has vmx or svm, else TCG
  DEVICES=1        virtio-crypto devices; 0 leaves it out
  VECTORS=3        MSI-X vectors of each; 0 leaves INTx
  QEMU=qemu-system-x86_64
                   another QEMU, 7.2 or later
  QEMU_ARGS=       more arguments, split at spaces
  TIMEOUT=300      seconds until a run is ended and counts as failed
  SETUP_TIMEOUT=600
                   seconds until a step of the set-up (apt-get, rustup, crates) is given up
  MACHINE_WORDS=   what a test binary asks for, instead of what it says itself
EOF
}

say() { printf 'run: %s\n' "$*" >&2; }
fail() {
    say "failed: $*"
    exit 1
}

# ---------------------------------------------------------------- set-up

setup_timeout=${SETUP_TIMEOUT:-600}
[[ $setup_timeout =~ ^[1-9][0-9]{0,4}$ ]] || fail "SETUP_TIMEOUT=$setup_timeout: a number from 1 to 99999"

qemu=${QEMU:-qemu-system-x86_64}
# Cargo starts the runner in another directory.
case $qemu in
/*) ;;
*/*) export QEMU="$PWD/$qemu" && qemu=$QEMU ;;
esac

# Logs of this run; gone however it ends.
scratch=$(mktemp -d 2>/dev/null) && head -c 1M /dev/zero >"$scratch/room" 2>/dev/null && rm "$scratch/room" ||
    fail "no room for logs in TMPDIR=${TMPDIR:-/tmp}: set TMPDIR to a directory that can be written"
trap 'rm -rf "$scratch"' EXIT

# Where cargo builds, as it sees it from the top of the project.
target_directory() {
    (cd "$here" && realpath -m "${CARGO_TARGET_DIR:-target}")
}

# What cargo says in many lines, or in the middle of a build.
check_target_directory() {
    local directory free_mib
    directory=$(target_directory)
    mkdir -p "$directory" 2>/dev/null && touch "$directory/.writable" 2>/dev/null ||
        fail "$directory cannot be written: set CARGO_TARGET_DIR to a directory that can"
    rm -f "$directory/.writable"
    free_mib=$(df -Pm "$directory" 2>/dev/null | awk 'NR == 2 { print $4 }')
    [ "${free_mib:-100}" -ge 100 ] ||
        fail "$directory has $free_mib MiB left: make room (a build takes 2 GiB), or set CARGO_TARGET_DIR"
}

# Runs a step of the set-up, for a bounded time and asking nothing.
bounded() {
    timeout --foreground -k 5 "$setup_timeout" "$@" </dev/null
}

is_root() { [ "$(id -u)" = 0 ]; }
can_be_root() { is_root || { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }; }

as_root() {
    if is_root; then bounded "$@"; else bounded sudo -n "$@"; fi
}

# Most mirrors answer within seconds; one that does not is none.
apt_update() {
    as_root apt-get -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 -o Acquire::Retries=1 update
}

# apt_install WHY PACKAGE..: installs packages or says in one line what to do instead.
apt_install() {
    local why=$1
    shift
    local by_hand="apt-get install --no-install-recommends $*"
    command -v apt-get >/dev/null ||
        fail "$why, and no apt-get to install it: the README, Set-up, says what is needed"
    can_be_root || fail "$why, and this is neither root nor sudo without a password: 'sudo $by_hand' installs it"
    say "$why: installing $*"
    local log status
    log=$(mktemp -p "$scratch")
    # Lists first: with old ones apt installs what is too old, or finds nothing. Without the network
    # what is cached may do.
    apt_update >"$log" 2>&1
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=60 install -y --no-install-recommends "$@" >>"$log" 2>&1
    status=$?
    case $status in
    0) ;;
    124 | 137) fail "$why: apt-get did not end in $setup_timeout s: is there a network? '$by_hand' installs it" ;;
    *) fail "$why: '$by_hand' failed: $(grep '^E: ' "$log" | head -n 1 | grep . || tail -n 1 "$log")" ;;
    esac
    rm -f "$log"
}

# Host work never sees the variables that build the kernel: they are for the target alone.
host() {
    (
        unset RUSTC RUSTDOC RUSTC_BOOTSTRAP CARGO_BUILD_TARGET CARGO_BUILD_RUSTC
        unset "${!CARGO_UNSTABLE_@}" "${!CARGO_TARGET_X86_64_UNKNOWN_NONE_@}"
        "$@"
    )
}

# Debian's compiler: new enough, with the source of `core` beside it.
debian_rustc=/usr/bin/rustc
has_debian_rust() {
    [ -x $debian_rustc ] || return 1
    local version
    version=$($debian_rustc --version | sed -E 's/^rustc 1\.([0-9]+).*/\1/')
    [ "$version" -ge 95 ] 2>/dev/null || return 1
    [ -e "$($debian_rustc --print sysroot)/lib/rustlib/src/rust/library/core/src/lib.rs" ]
}

has_native_target() {
    local directory
    directory=$(cd "$here" && host bounded rustc --print target-libdir --target $target 2>/dev/null) &&
        compgen -G "$directory/libcore-*.rlib" >/dev/null
}

# A rustup without the toolchain has a `cargo` that does nothing but fetch it.
has_cargo() {
    command -v cargo >/dev/null && (cd "$here" && host bounded cargo --version) >/dev/null 2>&1
}

# Which compiler builds the kernel: `native` or `debian`.
find_toolchain() {
    if ! has_cargo; then
        toolchain=
    elif has_native_target; then
        toolchain=native
    elif has_debian_rust; then
        toolchain=debian
    else
        toolchain=
    fi
}

setup_rust() {
    find_toolchain
    [ -n "$toolchain" ] && return
    if command -v rustup >/dev/null; then
        say "adding the target $target"
        if (cd "$here" && host bounded rustup target add $target >"$scratch/rustup" 2>&1); then
            find_toolchain
            [ "$toolchain" = native ] && return
        fi
        say "rustup cannot add it here: $(tail -n 1 "$scratch/rustup")"
    fi
    if has_cargo; then
        apt_install "no compiler for $target" rustc-web rust-web-src
    else
        apt_install "no Rust" cargo-web rustc-web rust-web-src rust-web-clippy gcc libc6-dev
        hash -r
        has_cargo || fail "$(command -v cargo) does not run: 'cargo --version' says why"
    fi
    find_toolchain
    [ -n "$toolchain" ] && return
    [ -x $debian_rustc ] &&
        say "found $($debian_rustc --version); 1.95 or later is needed (Debian 12: bookworm-security)"
    fail "no compiler for $target: install rustup, then run 'rustup target add $target'"
}

# Cargo without the network tries for minutes, and names one crate after the other.
setup_crates() {
    local crates=(--locked --target $target --target host-tuple)
    (cd "$here" && host cargo fetch -q --offline "${crates[@]}") 2>/dev/null && return
    say "fetching crates"
    (cd "$here" && export CARGO_NET_RETRY=1 CARGO_HTTP_TIMEOUT=20 && host bounded cargo fetch -q "${crates[@]}") \
        2>"$scratch/crates" && return
    say "crates.io cannot be reached ($(tail -n 1 "$scratch/crates" | sed 's/^ *//')): what has been fetched before" \
        "has to do; where cargo misses a package, './run.sh setup' fetches it once there is a network"
    export CARGO_NET_OFFLINE=true
}

# Checks the QEMU that is there.
check_qemu() {
    local version major minor
    version=$(bounded "$qemu" --version 2>/dev/null | sed -nE 's/^QEMU emulator version ([0-9.]+).*/\1/p')
    [ -n "$version" ] || fail "$qemu does not say that it is a QEMU: '$qemu --version' shows what it says"
    IFS=. read -r major minor _ <<<"$version"
    [ "$((100 * major + ${minor:-0}))" -ge 702 ] || fail "$qemu is QEMU $version: 7.2 or later is needed"
}

# Finds QEMU, or says what is wrong with the one that was asked for; `false` where there is none at all.
find_qemu() {
    if command -v "$qemu" >/dev/null; then
        check_qemu
        return
    fi
    [ -n "${QEMU:-}" ] || return
    [ ! -e "$QEMU" ] || fail "QEMU=$QEMU: not a program that can be run"
    fail "QEMU=$QEMU: no such program; without QEMU= it is qemu-system-x86_64, which ./run.sh setup installs"
}

setup() {
    check_target_directory
    setup_rust
    setup_crates
    find_qemu && return
    apt_install "no QEMU" qemu-system-x86
    check_qemu
}

# no_words COMMAND [word..]: for commands that take none.
no_words() {
    [ $# = 1 ] || fail "$1: '$2' means nothing to it; ./run.sh --help shows what each command takes"
}

# The variables with which cargo builds the kernel, one NAME=VALUE a line.
kernel_variables() {
    [ "$toolchain" = debian ] || return 0
    cat <<EOF
RUSTC=$debian_rustc
RUSTDOC=/usr/bin/rustdoc
RUSTC_BOOTSTRAP=1
CARGO_UNSTABLE_BUILD_STD=core,alloc,compiler_builtins
CARGO_UNSTABLE_BUILD_STD_FEATURES=compiler-builtins-mem
CARGO_TARGET_X86_64_UNKNOWN_NONE_LINKER=ld
EOF
}

# Runs cargo for the kernel. The caller's flags would replace those of .cargo/config.toml.
kernel_cargo() {
    local variables
    mapfile -t variables < <(kernel_variables)
    (cd "$here" && host env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS "${variables[@]}" "${cargo_program:-cargo}" "$@")
}

# ---------------------------------------------------------------- a run in QEMU

accelerator() {
    if [ -w /dev/kvm ] && grep -qwE 'vmx|svm' /proc/cpuinfo; then
        echo kvm
    else
        echo tcg,thread=multi
    fi
}

# limited SECONDS COMMAND..: runs it for that long at most; ends it when this script is interrupted,
# which does not reach the process group of `timeout` by itself.
limited() {
    timeout -k 5 "$@" </dev/null 2>&1 &
    local child=$!
    # shellcheck disable=SC2064 # the child of this call
    trap "kill $child 2>/dev/null; trap - INT TERM; kill -INT \$BASHPID" INT TERM
    wait $child
}

# Says how the run at hand is repeated alone.
say_alone() {
    local name line=
    for name in SMP MEM MACHINE ACCEL DEVICES VECTORS QEMU QEMU_ARGS TIMEOUT; do
        [ -n "${!name:-}" ] && line+=$(printf '%s=%q ' "$name" "${!name}")
    done
    line+=$(printf 'MACHINE_WORDS=%q ./run.sh %q' "$1" "$2")
    say "alone: $line${3:+ $3}"
}

# check_number NAME VALUE LEAST MOST
check_number() {
    [[ $2 =~ ^(0|[1-9][0-9]{0,5})$ ]] && [ "$2" -ge "$3" ] && [ "$2" -le "$4" ] ||
        fail "$1=$2: a number from $3 to $4"
}

# boot ELF MACHINE-WORDS COMMAND-LINE: one run. The last line of what it prints tells how it ended
# when it failed; the status is that of the run.
boot() {
    local elf=$1 words=$2 append=$3
    local smp=1 mem=256M machine=q35 vectors=3 devices=1 timeout=300 fails= args= accel= device= ends= cpu=max
    local word own=$append
    for word in $words; do
        case $word in
        smp=* | mem=* | machine=* | vectors=* | devices=* | timeout=* | fails=* | args=* | accel=* | \
            device=* | ends=* | cpu=*)
            local "${word%%=*}"="${word#*=}" ;;
        append=*) append="$append ${word#append=}" ;;
        *) fail "$elf: unknown machine word '$word'" ;;
        esac
    done
    smp=${SMP:-$smp} mem=${MEM:-$mem} machine=${MACHINE:-$machine} vectors=${VECTORS:-$vectors}
    devices=${DEVICES:-$devices} timeout=${TIMEOUT:-$timeout}
    fails=${fails//_/ }
    check_number SMP "$smp" 1 64
    check_number DEVICES "$devices" 0 16
    check_number VECTORS "$vectors" 0 2048
    check_number TIMEOUT "$timeout" 1 86400
    [[ $mem =~ ^[1-9][0-9]*[KMG]$ ]] || fail "MEM=$mem: a size like 256M"
    [[ $machine =~ ^(q35|pc)$ ]] || fail "MACHINE=$machine: q35 or pc"

    accel=${ACCEL:-${accel:-$(accelerator)}}
    [[ $accel =~ ^(kvm|tcg)(,.*)?$ ]] || fail "ACCEL=$accel: kvm or tcg, with options behind a comma"
    [[ $accel != kvm* ]] || [ -w /dev/kvm ] || fail "ACCEL=$accel: /dev/kvm cannot be written; ACCEL=tcg needs none"
    [[ $accel == kvm* ]] && cpu=host
    # For a machine that can only ever have one CPU, TCG translates locked instructions into plain ones,
    # though the device runs in a thread of its own: a full barrier is none, and kicks and interrupts
    # get lost (tcg_cpu_init_cflags; QEMU 7.2 drops mfence as well). Room for a second CPU is enough.
    local max=$((smp > 1 ? smp : 2))
    local command=("$qemu" -machine "$machine" -cpu $cpu -accel "$accel" -smp "$smp,maxcpus=$max" -m "$mem"
        -nodefaults -no-user-config -display none -serial stdio -no-reboot
        -device isa-debug-exit,iobase=0xf4,iosize=0x04)
    local number
    for ((number = 0; number < devices; number++)); do
        command+=(-object "cryptodev-backend-builtin,id=cryptodev$number"
            -device "virtio-crypto-pci,cryptodev=cryptodev$number,vectors=$vectors${device:+,$device}")
    done
    # shellcheck disable=SC2206 # split at spaces, as the help says
    command+=(${args//,,/ } ${QEMU_ARGS:-})
    # Linux's, whose path may have spaces.
    command+=(${initrd:+-initrd "$initrd"})
    command+=(-kernel "$elf" -append "${append# }")

    local log status reason=
    log=$(mktemp -p "$scratch")
    # QEMU says this of every signature that is wrong on purpose.
    limited "$timeout" "${command[@]}" | tee "$log" | grep -av 'Failed to verify signature' --line-buffered
    status=${PIPESTATUS[0]}
    case $status in
    33) grep -qE '^[0-9]+ passed, 0 failed|^[a-z]+: pass' <(tr -d '\r' <"$log") ||
        reason="the run ended well, but without its closing line" ;;
    35) reason=$(tr -d '\r' <"$log" | grep -E 'FAILED|^failed:' | tail -n 1)
        reason=${reason#failed: }
        reason=${reason:-the kernel says that it failed} ;;
    0) reason="the machine reset (a triple fault)"
        [ -s "$log" ] || reason="$qemu ended without running the kernel, or $reason"
        # A Linux switches the machine off.
        if [ "$ends" = poweroff ]; then
            reason=
            grep -q '^bench: pass' <(tr -d '\r' <"$log") || reason="Linux ended without its closing line"
        fi ;;
    124 | 137) reason="no end after $timeout s" ;;
    *) reason="QEMU ended with status $status: $(tail -n 1 "$log")"
        grep -qE "virtio-crypto-pci' is not a valid|type: cryptodev-backend-builtin" "$log" &&
            reason="$qemu was built without virtio-crypto: name another by QEMU=" ;;
    esac
    rm -f "$log"

    if [ -n "$fails" ]; then
        if [[ $reason == *"$fails"* ]]; then
            printf 'failed as it should: %s\n1 passed, 0 failed\n' "$reason"
            return 0
        fi
        printf '0 passed, 1 failed\n'
        reason="expected a run that fails with '$fails', got '${reason:-success}'"
    fi
    [ -z "$reason" ] && return 0
    say "failed: $reason"
    say_alone "$words" "$elf" "$own"
    return 1
}

# The cargo runner: boots a binary on each machine that it asks for, or once.
run_elf() {
    local elf=$1
    shift
    # `cargo bench` says so to every binary, behind the caller's own words.
    [ "${!#}" = --bench ] && set -- "${@:1:$#-1}"
    find_qemu || fail "no $qemu: ./run.sh setup installs it"
    local machines failures=0 words
    mapfile -t machines < <(grep -aoE 'qemu-machine:\{[^}]*\}' "$elf" | sed 's/^[^{]*{//; s/}$//')
    [ ${#machines[@]} -gt 0 ] || machines=("")
    [ -n "${MACHINE_WORDS+set}" ] && machines=("$MACHINE_WORDS")
    for words in "${machines[@]}"; do
        # A filter that names other tests leaves the runs that must fail out.
        if [[ $words == *fails=* && $# -gt 0 ]]; then
            local wanted= word
            for word in "$@"; do
                [[ $words == *"$word"* ]] && wanted=1
            done
            [ -n "$wanted" ] || continue
        fi
        [ -n "$words" ] && printf '\n--- %s on %s\n' "$(basename "$elf")" "$words"
        boot "$elf" "$words" "$*" || failures=$((failures + 1))
    done
    [ "$failures" = 0 ]
}

# ---------------------------------------------------------------- tests

# Prints what a part of the tests prints, and adds up its closing lines.
passed=0 failed=0
part() {
    local name=$1
    shift
    printf '\n=== %s\n' "$name"
    local log status counts
    log=$(mktemp -p "$scratch")
    "$@" 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    counts=$(tr -d '\r' <"$log" | sed -nE \
        -e 's/^test result: .* ([0-9]+) passed; ([0-9]+) failed.*/\1 \2/p' \
        -e 's/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p' |
        awk '{ p += $1; f += $2 } END { print p + 0, f + 0 }')
    rm -f "$log"
    local part_passed=${counts% *} part_failed=${counts#* }
    # A part that fails without saying how many is one failure.
    [ "$status" != 0 ] && [ "$part_failed" = 0 ] && part_failed=1
    passed=$((passed + part_passed)) failed=$((failed + part_failed))
}

# The features of the driver, one a line, as Cargo sees them.
driver_features() {
    (cd "$here" && host cargo metadata --no-deps --format-version 1) |
        sed -E 's/\{"name":"[^"]*","version"/\n&/g' |
        sed -nE '/^\{"name":"virtio-crypto"/s/.*"features":\{([^}]*)\}.*/\1/p' |
        grep -oE '"[^"]+":' | tr -d '":'
}

# each_feature cargo SUBCOMMAND ..: with every feature alone, and with none. Where there is none at all, there
# is nothing to do: that is how everything else is built.
each_feature() {
    local features feature status=0
    features=$(driver_features)
    for feature in ${features:+"" $features}; do
        say "virtio-crypto, no feature${feature:+ but $feature}"
        (cd "$here" && host "$1" "$2" --no-default-features --features "$feature" "${@:3}") || status=1
    done
    return $status
}

# Cargo, with the driver's own code built quickly: its tests take six times as long to optimise, and run
# hardly faster then.
quick_cargo() {
    local profile=profile.dev.package.virtio-crypto
    cargo --config "$profile.opt-level=0" --config "$profile.debug='line-tables-only'" "$@"
}

driver_tests() {
    (cd "$here" && host quick_cargo host-test --all-features "$@")
}

feature_tests() {
    each_feature quick_cargo host-test -q --lib
}

# embedded NAME COMMAND..: a build of the driver as a vendored copy in another tree.
embedded() {
    local name=$1 output
    shift
    printf 'test %s ... ' "$name"
    if output=$(cd "$embedding/app" && "$@" 2>&1); then
        printf 'ok\n1 passed, 0 failed\n'
    else
        printf 'FAILED\n%s\n0 passed, 1 failed\n' "$output"
        return 1
    fi
}

# A copy of the driver's folder builds in any tree, with the oldest compiler that it names, and for CPUs that no
# test here runs on, as far as compilers and targets are there or can be had.
embedding_tests() {
    local embedding status=0 rust host_target other
    embedding=$(target_directory)/embedding
    rust=$(sed -nE 's/^rust-version = "(.*)"/\1/p' "$here/driver/Cargo.toml")
    host_target=$(cd "$here" && host rustc -vV | sed -n 's/^host: //p')
    rm -rf "$embedding" && mkdir -p "$embedding/app/src" && cp -rL "$here/driver" "$embedding/" || return
    cat >"$embedding/app/Cargo.toml" <<EOF
[package]
name = "app"
edition = "2024"
[dependencies]
virtio-crypto = { path = "../driver", features = ["pkcs8", "signature"] }
[workspace]
EOF
    echo '#![no_std]' >"$embedding/app/src/lib.rs"
    cp "$here/Cargo.lock" "$embedding/app/"
    embedded vendored_copy_builds host cargo check -q --offline --target "$host_target" || status=1
    embedded test_dependencies_stay_out_of_the_lock_file \
        bash -c '! grep -qE "name = \"(loom|vm-memory|aes|rsa)\"" Cargo.lock' || status=1
    if host rustup run "$rust" cargo --version >/dev/null 2>&1 ||
        timeout 120 rustup toolchain install "$rust" --profile minimal --no-self-update >/dev/null 2>&1; then
        embedded "builds_with_rust_$rust" host env RUSTUP_TOOLCHAIN="$rust" \
            cargo check -q --offline --target "$host_target" || status=1
    else
        say "left out: no Rust $rust here"
    fi
    for other in aarch64-unknown-none riscv64gc-unknown-none-elf; do
        if compgen -G "$(cd "$here" && host rustc --print target-libdir --target $other)/libcore-*.rlib" >/dev/null ||
            (cd "$here" && timeout 60 rustup target add $other >/dev/null 2>&1); then
            embedded "builds_for_$other" host cargo check -q --offline --target $other || status=1
        else
            say "left out: no target $other here"
        fi
    done
    return $status
}

host_bench_tests() {
    (cd "$here" && host cargo test -q --target host-tuple -p bench -- "$@")
}

# loom_cargo ..: cargo with the driver as loom sees it.
loom_cargo() {
    # Its own directory: another flag would build everything anew each time.
    host env RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR="$(target_directory)/loom" cargo "$@"
}

loom_tests() {
    (cd "$here" && loom_cargo host-test --release --lib -- --test-threads=1 "${@:-loom_}")
}

# must_fail NAME LINE [VARIABLE=VALUE..] [-- WORDS]: the demonstration has to end as failed with LINE.
must_fail() {
    local name=$1 line=$2
    shift 2
    local variables=()
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        variables+=("$1")
        shift
    done
    [ $# -gt 0 ] && shift
    printf 'test %s ... ' "$name"
    local output status
    output=$(export "${variables[@]}" && kernel_cargo run -q -p kernel --bin demo -- "$@" 2>&1)
    status=$?
    if [ $status != 0 ] && grep -qF "$line" <<<"$output"; then
        echo ok
        echo "1 passed, 0 failed"
    else
        echo FAILED
        printf 'expected: a failing status and the line "%s"\n' "$line"
        printf 'got: status %s and\n%s\n' $status "$output"
        printf 'alone:'
        [ ${#variables[@]} = 0 ] || printf ' %q' "${variables[@]}"
        printf ' ./run.sh demo %s\n' "$*"
        echo "0 passed, 1 failed"
        return 1
    fi
}

# must_print NAME PATTERN.. -- COMMAND..: it has to end well, with a line for each pattern.
must_print() {
    local name=$1 patterns=() pattern output status missing=
    shift
    while [ "$1" != -- ]; do
        patterns+=("$1")
        shift
    done
    shift
    printf 'test %s ... ' "$name"
    output=$("$@" 2>&1)
    status=$?
    for pattern in "${patterns[@]}"; do
        grep -qE "^$pattern" <<<"$output" || missing+="$pattern"$'\n'
    done
    if [ $status = 0 ] && [ -z "$missing" ]; then
        echo ok
        echo "1 passed, 0 failed"
    else
        echo FAILED
        printf 'status %s; missing:\n%sgot:\n%s\nalone: ./run.sh test %s\n' \
            $status "$missing" "$output" "$name"
        echo "0 passed, 1 failed"
        return 1
    fi
}

# Programs that are no test binaries, as far as the filter lets them.
whole_runs() {
    local status=0
    if wanted minimal_kernel "$@"; then
        must_print minimal_kernel "minimal: pass" -- \
            kernel_cargo run -q -p kernel --example minimal || status=1
    fi
    if wanted probe_finds_what_is_known_of_qemu "$@"; then
        local cipher="probe: service=CIPHER algorithm"
        must_print probe_finds_what_is_known_of_qemu "probe: pass" \
            "$cipher=AesCbc key_bits=128 advertised=yes works=yes note=[67] lengths" \
            "$cipher=AesCbc key_bits=256 advertised=yes works=yes" \
            "$cipher=AesXts key_bits=512 advertised=no works=yes" \
            "$cipher=TripleDesCbc key_bits=192 advertised=no works=yes" \
            "$cipher=DesCbc key_bits=64 advertised=no works=refused note=create: ERR" \
            "probe: service=HASH algorithm=Sha256 key_bits=0 advertised=no works=refused" \
            "probe: service=AKCIPHER algorithm=RsaPkcs1\\(Sha256\\) key_bits=2048" \
            "probe: requirement=ended-session-answers-invsess section=.* held=yes" \
            "probe: requirement=hw-ready section=.* held=yes" \
            "probe: requirement=any-framing section=2.7.4.1 held=yes" \
            "probe: framing request=CIPHER one-per-field=OK compact=OK" \
            "probe: queue=0 answers=OK" \
            "probe: quirk=requests_without_answer value=0 dropped, 0 never answered, 0 late" \
            "probe: quirk=session_limit value=256" \
            "probe: quirk=sessions_survive_reset value=yes" \
            "probe: quirk=partial_blocks value=AesCtr:ERR" -- probe || status=1
    fi
    if wanted probe_goes_on_after_a_device_broke "$@"; then
        must_print probe_goes_on_after_a_device_broke "probe: pass" \
            "probe: requirement=offers-version-1 .*INDIRECT_DESC \\| VERSION_1" \
            "probe: broke=needs-reset step=short-header" \
            "probe: dangerous=short-header outcome=needs-reset" \
            "probe: broke=needs-reset step=short-key" \
            "probe: dangerous=no-iv outcome=chained" -- \
            probe --dangerous=short-header,short-key,no-iv event_idx=off || status=1
    fi
    return $status
}

# wanted NAME [filter..]: NAME contains one of the words, or there is none.
wanted() {
    local name=$1 word
    shift
    [ $# = 0 ] && return
    for word in "$@"; do
        [[ $name == *"$word"* ]] && return
    done
    return 1
}

# must_refuse NAME LINE [VARIABLE=VALUE..] -- [words]: run.sh has to end as failed, soon, and to say LINE itself:
# neither apt-get nor cargo is heard.
must_refuse() {
    local name=$1 line=$2 output status
    shift 2
    local variables=()
    while [ "$1" != -- ]; do
        variables+=("$1")
        shift
    done
    shift
    printf 'test %s ... ' "$name"
    output=$(timeout 60 env -u QEMU "${variables[@]}" "$here/run.sh" "$@" 2>&1)
    status=$?
    if [ $status = 1 ] && grep '^run: failed: ' <<<"$output" | grep -qF "$line" &&
        ! grep -qE '^(E|error|warning|mktemp|mkdir|rustup|timeout)' <<<"$output"; then
        echo ok
        echo "1 passed, 0 failed"
    else
        echo FAILED
        printf 'expected: status 1 and the line "run: failed: .. %s"\ngot: status %s and\n%s\n' "$line" $status "$output"
        echo "0 passed, 1 failed"
        return 1
    fi
}

# stub NAME COMMAND..: a program of this name in $stubs.
stub() {
    rm -f "$stubs/$1"
    printf '#!/bin/sh\n%s\n' "${*:2}" >"$stubs/$1" && chmod +x "$stubs/$1"
}

# Machines that lack something, made of links to this one's programs: nothing is installed or fetched.
refusals() {
    local filter=("$@") status=0 stubs=$scratch/stubs program
    refusal() { if wanted "$1" "${filter[@]}"; then must_refuse "$@" || status=1; fi; }
    mkdir "$stubs" && ln -s /usr/bin/* "$stubs/" || return
    for program in cargo rustc rustup; do
        program=$(command -v "$program") && ln -sf "$program" "$stubs/"
    done
    rm -f "$stubs"/qemu-system-x86_64 "$stubs/sudo"
    stub no-qemu 'echo something else'
    stub old-qemu 'echo "QEMU emulator version 6.2.0 (Debian 1:6.2)"'
    stub bare-qemu 'case $1 in --version) echo "QEMU emulator version 7.2.0" ;; *) echo' \
        "\"qemu: -device virtio-crypto-pci,x: 'virtio-crypto-pci' is not a valid device model name\"; exit 1 ;; esac"
    # Any file: no QEMU gets to read it.
    local elf=$here/Cargo.toml path=PATH=$stubs
    refusal no_such_qemu_is_named "QEMU=nosuch: no such program" QEMU=nosuch -- "$elf"
    refusal no_such_qemu_is_named_by_setup "QEMU=nosuch: no such program" QEMU=nosuch -- setup
    refusal file_that_does_not_run_is_no_qemu "not a program that can be run" QEMU="$here/README.md" -- "$elf"
    refusal other_program_is_no_qemu "does not say that it is a QEMU" QEMU="$stubs/no-qemu" -- "$elf"
    refusal old_qemu_is_named "is QEMU 6.2.0: 7.2 or later" QEMU="$stubs/old-qemu" -- "$elf"
    refusal qemu_without_the_device_is_named "built without virtio-crypto" QEMU="$stubs/bare-qemu" -- "$elf"
    refusal accelerator_is_checked "ACCEL=bogus: kvm or tcg" ACCEL=bogus -- "$elf"
    refusal number_of_cpus_is_checked "SMP=65: a number from 1 to 64" SMP=65 -- "$elf"
    refusal target_that_cannot_be_written_is_named "/proc/none cannot be written" CARGO_TARGET_DIR=/proc/none -- setup
    refusal scratch_that_cannot_be_written_is_named "TMPDIR=/proc/none" TMPDIR=/proc/none -- setup
    refusal setup_takes_no_words "setup: 'bogus' means nothing" -- setup bogus
    refusal env_takes_no_words "env: 'bogus' means nothing" -- env bogus
    refusal lint_takes_no_words "lint: 'bogus' means nothing" -- lint bogus
    refusal test_takes_no_options "test: '--bogus'" -- test --bogus
    refusal setup_timeout_is_checked "SETUP_TIMEOUT=0" SETUP_TIMEOUT=0 -- setup

    stub df 'echo head; echo "/dev/vda 1000 997 3 99% /"'
    refusal full_disk_is_named "has 3 MiB left" "$path" -- setup
    ln -sf /usr/bin/df "$stubs/df"
    stub id 'echo 1000'
    stub apt-get 'echo "E: called" && exit 100'
    refusal who_cannot_install_is_told_what "neither root nor sudo" "$path" -- setup
    stub sudo 'exit 1'
    refusal sudo_with_a_password_is_not_asked "neither root nor sudo" "$path" -- setup
    stub id 'echo 0'
    stub apt-get 'echo "E: Failed to fetch x" && exit 100'
    refusal no_network_is_named "failed: E: Failed to fetch x" "$path" -- setup
    stub apt-get 'exec sleep 100'
    refusal apt_that_hangs_is_given_up "did not end in 1 s" SETUP_TIMEOUT=1 "$path" -- setup
    rm "$stubs/apt-get"
    refusal no_apt_is_named "no apt-get to install it" "$path" -- setup
    return $status
}

failing_runs() {
    local status=0
    must_fail no_device "no virtio-crypto device" DEVICES=0 || status=1
    must_fail another_device "no virtio-crypto device" DEVICES=0 QEMU_ARGS="-device virtio-rng-pci" ||
        status=1
    must_fail too_little_memory "give the machine more" MEM=16M || status=1
    must_fail unknown_word "known: demo" MEM=32M -- bogus || status=1
    must_fail time_limit "no end after 1 s" TIMEOUT=1 QEMU_ARGS="-S" || status=1
    must_fail no_such_accelerator "ACCEL=bogus: kvm or tcg" ACCEL=bogus || status=1
    return $status
}

test_all() {
    local filter=("$@") word
    for word in "$@"; do
        [[ $word != -* ]] || fail "test: '$word': it takes parts of names, and key=value for what is run"
    done
    setup
    part "the driver on this host" driver_tests -- "${filter[@]}"
    [ ${#filter[@]} = 0 ] && part "the driver's features, each alone" feature_tests
    [ ${#filter[@]} = 0 ] && part "the driver in somebody else's tree" embedding_tests
    part "the benchmarks' host side" host_bench_tests "${filter[@]}"
    part "the driver's lock and slots under loom" loom_tests "${filter[@]}"
    part "the kernel in QEMU" kernel_cargo test -q -p kernel --no-fail-fast -- "${filter[@]}"
    part "whole programs in QEMU" whole_runs "${filter[@]}"
    part "machines that lack something" refusals "${filter[@]}"
    if [ ${#filter[@]} = 0 ]; then
        part "the demonstration" kernel_cargo run -q -p kernel --bin demo
        [ "$failed" = 0 ] && passed=$((passed + 1))
        part "runs that must fail" failing_runs
    fi
    printf '\n=== %s\n' "all"
    [ $((passed + failed)) = 0 ] && fail "no test matches '${filter[*]}'"
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ]
}

# ---------------------------------------------------------------- lint

lint() {
    cd "$here" || return
    lint_step host cargo fmt --all --check
    lint_step host cargo host-clippy -q --all-features -- -D warnings
    lint_step each_feature cargo clippy -q --target host-tuple -p virtio-crypto -- -D warnings
    lint_step loom_cargo clippy --target host-tuple -q -p virtio-crypto --tests -- -D warnings
    lint_step kernel_clippy -q -p kernel --all-features --lib --bins --tests --benches --examples -- -D warnings
    export RUSTDOCFLAGS="-D warnings"
    lint_step host cargo host-doc -q --all-features
    # Warnings of packaging are all that is not seen above.
    lint_step packages
    lint_step kernel_cargo doc -q -p kernel --lib --no-deps
}

# The crate as it would be published, built; what it leaves to say is that nothing is uploaded.
packages() {
    local output
    output=$(host cargo publish --dry-run --allow-dirty --target host-tuple -p virtio-crypto 2>&1) ||
        { echo "$output" && return 1; }
    ! grep '^warning' <<<"$output" | grep -v 'aborting upload due to dry run'
}

lint_step() {
    say "$*"
    "$@" || fail "$*"
}

# Clippy has to be of one version with the compiler.
kernel_clippy() {
    if [ "$toolchain" = debian ]; then
        [ -x /usr/bin/cargo-clippy ] || apt_install "no clippy beside $debian_rustc" rust-web-clippy
        local cargo=cargo
        [ -x /usr/bin/cargo ] && cargo=/usr/bin/cargo
        PATH=/usr/bin:$PATH CARGO_TARGET_DIR="$(target_directory)/clippy" \
            cargo_program=$cargo kernel_cargo clippy "$@"
    else
        kernel_cargo clippy "$@"
    fi
}

# ---------------------------------------------------------------- probe

# probe [--dangerous=NAME,..] [option=value,..]
probe() {
    local options= words=() argument
    for argument in "$@"; do
        case $argument in
        --dangerous=*) words+=("${argument#--}") ;;
        -* | *\ *) fail "probe: '$argument'; ./run.sh --help shows what it takes" ;;
        *) options+=,$argument ;;
        esac
    done
    say "building the probe, which takes minutes at first"
    kernel_cargo build -q -p kernel --bin probe || return
    say "$("$qemu" --version | head -n 1), accelerator ${ACCEL:-$(accelerator)}; what QEMU says of its own is expected"
    MACHINE_WORDS=${options:+device=${options#,}} kernel_cargo run -q -p kernel --bin probe -- "${words[@]}"
}

# ---------------------------------------------------------------- benchmarks

# bench_guest NAME [words]: boots one program of kernel/benches.
bench_guest() {
    [ $# -gt 0 ] || fail "bench-guest: which one? ./run.sh --help lists them"
    local name=${1//-/_}
    shift
    kernel_cargo bench -q -p kernel --features usage --bench "$name" -- "$@"
}

# Debian's own kernel, fetched and unpacked, not installed; and the modules that its driver needs.
peer=$(target_directory)/peer
peer_modules="virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci crypto_engine \
    virtio_crypto af_alg algif_skcipher pkcs8_key_parser"
setup_peer() {
    [ "$(cat "$peer/modules.list" 2>/dev/null)" = "$peer_modules" ] && return
    command -v dpkg-deb >/dev/null && command -v apt-get >/dev/null ||
        fail "no apt-get: the peer is the kernel of Debian's linux-image-amd64; unpack it to $peer"
    command -v cpio >/dev/null || apt_install "no cpio" cpio
    can_be_root && apt_update >/dev/null 2>&1
    local package
    package=$(apt-cache depends linux-image-amd64 |
        sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
    [ -n "$package" ] || fail "apt knows no linux-image-amd64: add Debian's main archive"
    say "fetching $package"
    rm -rf "$peer" && mkdir -p "$peer/modules" || return
    (cd "$scratch" && bounded apt-get -q download "$package" >/dev/null && dpkg-deb -x "$package"_*.deb "$peer/tree") ||
        fail "$package could not be fetched"
    local module file
    for module in $peer_modules; do
        file=$(find "$peer/tree" -name "$module.ko")
        # What is not there is built in.
        [ -z "$file" ] || cp "$file" "$peer/modules/"
    done
    cp "$peer"/tree/boot/vmlinuz-* "$peer/vmlinuz" && rm -r "$peer/tree" &&
        echo "$peer_modules" >"$peer/modules.list"
}

# The program that measures, and the modules, as Linux's first file system.
build_peer() {
    setup_peer
    (cd "$here" && host env RUSTFLAGS="-Ctarget-feature=+crt-static" CARGO_TARGET_DIR="$peer/build" \
        cargo build -q --release --target host-tuple -p bench --bin linux-guest) || return
    local init
    init=$(ls "$peer"/build/*/release/linux-guest) || return
    [ "$peer/initramfs" -nt "$init" ] && return
    mkdir -p "$peer/root" && cp -r "$peer/modules" "$peer/root/" && cp "$init" "$peer/root/init" || return
    (cd "$peer/root" && find . | cpio -o -H newc --quiet) >"$peer/initramfs"
}

# linux_guest [words]: boots it.
linux_guest() {
    # Where the CPU says that it has them, Linux copies by string instructions, which TCG is slow at:
    # without, it is twice as fast at 64 KiB.
    # `idle=halt` stands for what Linux does by itself; to Linux the word means something of its own.
    local initrd=$peer/initramfs
    boot "$peer/vmlinuz" "mem=1G ends=poweroff cpu=max,-erms,-fsrm" \
        "console=ttyS0 quiet panic=-1 ${*//idle=halt/}"
}

bench() {
    cd "$here" || return
    case ${1:-all} in
    all) shift $(($# > 0)) ;;
    --peer)
        [ "${2:-}" = linux ] || fail "--peer: linux is the one that there is"
        build_peer || return
        say "guest instructions, one vCPU, ioeventfd=off:"
        ACCEL=tcg QEMU_ARGS="-icount shift=0,sleep=off -global virtio-crypto-pci.ioeventfd=off" \
            linux_guest count=instructions | grep ^bench: || return
        kernel_cargo bench -q -p kernel --bench instructions | grep ioeventfd=off || return
        ;;
    instructions | control-sessions | device-limit | interrupt-race | aes-cbc | akcipher | clock | *=*) ;;
    *) fail "no experiment '$1'; ./run.sh --help lists them" ;;
    esac
    local header
    header="$("$qemu" --version | head -n 1), accelerator ${ACCEL:-$(accelerator)}"
    if [ $# = 0 ] || [ "$1" = instructions ]; then
        say "$header, $(nproc) host cores"
        # Without the clock readings of `usage`, which would be counted too.
        kernel_cargo bench -q -p kernel --bench instructions -- "${@:2}" || return
        [ $# = 0 ] || return 0
    fi
    kernel_cargo bench -q -p kernel --features usage --no-run || return
    host cargo host-bench "$header" "$@"
}

case ${1:-} in
"")
    setup
    kernel_cargo run --release -p kernel --bin demo
    ;;
demo)
    shift
    setup
    kernel_cargo run -p kernel --bin demo -- "$@"
    ;;
test)
    shift
    test_all "$@"
    ;;
lint)
    no_words "$@"
    setup
    lint
    ;;
bench)
    shift
    setup
    bench "$@"
    ;;
linux-guest)
    shift
    setup
    build_peer || exit
    linux_guest "$@"
    ;;
probe)
    shift
    setup
    probe "$@"
    ;;
bench-guest)
    shift
    setup
    bench_guest "$@"
    ;;
setup)
    no_words "$@"
    setup
    say "ready: $toolchain compiler, $("$qemu" --version | head -n 1)"
    ;;
env)
    no_words "$@"
    setup
    kernel_variables | sed 's/^/export /'
    ;;
-h | --help | help) usage ;;
-*)
    usage >&2
    exit 2
    ;;
*)
    if [ -f "$1" ]; then
        run_elf "$@"
    else
        say "no such command or file: $1; ./run.sh --help lists them"
        exit 2
    fi
    ;;
esac
