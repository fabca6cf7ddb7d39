# SPDX-License-Identifier: MIT
# lib.sh - what the test scripts share; sourced as their first act.
#
# A script is called by its path, anywhere. It builds its victims itself (a
# compiler is part of what the tests need), in a folder of its own that is
# removed at the end, and ends with 0 good, 1 bad, 77 skipped, 99 broken.
#
# From the environment: SEEP (the program; default ./seep of the folder the
# script is started in), SEEP_SHIM, CC, CXX, PYTHON3, KEEP_WORK (leave the
# folder there), LIMIT (seconds until a traced program counts as hanging),
# EMULATOR (a command that runs what CC builds, in the manner of qemu-user).

tests=$(cd "$(dirname "$0")/.." && pwd)
targets=$tests/targets
here=$PWD
: "${CC:=gcc}" "${CXX:=g++}" "${LIMIT:=60}"
: "${SEEP:=$here/seep}"
case $SEEP in
/*) ;;
*) SEEP=$here/$SEEP ;;
esac
if [ -z "$PYTHON3" ]; then
	PYTHON3=/usr/bin/python3
	[ -x $PYTHON3 ] || PYTHON3=python3
fi
if [ -z "$SEEP_SHIM" ]; then
	for shim in "$here/.libs/libseep.so" "$here/libseep.so" \
	    "$here/preload/.libs/libseep.so"; do
		[ -e "$shim" ] && SEEP_SHIM=$shim && break
	done
fi
export SEEP SEEP_SHIM PYTHON3

work=$(mktemp -d "${TMPDIR:-/tmp}/seep-test.XXXXXX") || exit 99
chmod 755 "$work"
mkdir -m 700 "$work/run"
export XDG_RUNTIME_DIR=$work/run SEEP_TRUTH=$work/truth
unset LD_PRELOAD SEEP_SOCKET SEEP_BIN SEEP_OUTPUT SEEP_SAMPLE SEEP_DEBUG \
    DEBUGINFOD_URLS RUN_OPTIONS
at_end=
clean_up()
{
	ended=$?
	eval "$at_end"
	cd /
	if [ -n "$KEEP_WORK" ]; then
		echo "left in $work" >&2
	else
		rm -rf "$work"
	fi
	exit $ended
}
trap clean_up EXIT
trap 'exit 99' HUP INT TERM
cd "$work" || exit 99
: >truth
chmod 666 truth

fail()
{
	echo "FAIL: $*" >&2
	exit 1
}

skip()
{
	echo "SKIP: $*" >&2
	exit 77
}

broken()
{
	echo "BROKEN: $*" >&2
	exit 99
}

need()
{
	for tool; do
		command -v "$tool" >/dev/null 2>&1 || skip "no $tool"
	done
}

[ -x "$SEEP" ] || broken "no program $SEEP"
[ -e "$SEEP_SHIM" ] || broken "no shim ($SEEP_SHIM)"

# build NAME [FLAG...]: targets/NAME.c or .cpp becomes ./NAME
build()
{
	name=$1
	shift
	build_as "$name" "$name" "$@"
}

# build_as OUTPUT NAME [FLAG...]
build_as()
{
	output=$1 name=$2
	shift 2
	if [ -e "$targets/$name.cpp" ]; then
		$CXX -g -O1 -Wall -I "$targets" -o "$output" \
		    "$targets/$name.cpp" "$@" || broken "cannot build $name"
	else
		$CC -g -O1 -Wall -Wno-free-nonheap-object -I "$targets" \
		    -o "$output" "$targets/$name.c" "$@" ||
		    broken "cannot build $name"
	fi
}

# build_plugin OUTPUT.so NAME [FLAG...]
build_plugin()
{
	output=$1 name=$2
	shift 2
	$CC -g -O1 -Wall -I "$targets" -fPIC -shared -o "$output" \
	    "$targets/$name.c" "$@" || broken "cannot build $output"
}

# run_within SECONDS COMMAND...: 124 when it had to be killed
run_within()
{
	timeout -k 2 "$@"
}

# trace PROG ARG...: into ./rec; its status is left in $status. RUN_OPTIONS are
# those of `seep run`.
trace()
{
	rm -f rec
	status=0
	traced_by "run_within $LIMIT" "$@" 3>>truth || status=$?
	[ $status -ne 124 ] || fail "hangs under seep: $*"
	[ -s rec ] || fail "no recording of: $*"
}

# traced_by WRAPPER PROG ARG...: into ./rec; returns its status. An emulator is
# not traced itself; it sets what the program in it preloads.
traced_by()
{
	wrapper=$1 ended=0
	shift
	# shellcheck disable=SC2086 # commands with their options
	if [ -n "$EMULATOR" ]; then
		$wrapper "$PYTHON3" "$tests/tools/collect_for.py" "$SEEP" rec \
		    $EMULATOR -E LD_PRELOAD="$SEEP_SHIM" "$@" || ended=$?
		[ $ended -eq 124 ] || wait_for_recording rec
	else
		$wrapper "$SEEP" run -q $RUN_OPTIONS -o rec -- "$@" || ended=$?
	fi
	return $ended
}

# trace_ok PROG ARG...: the same, and it must end with 0
trace_ok()
{
	trace "$@"
	[ $status -ne 99 ] || broken "victim: $*"
	[ $status -eq 0 ] || fail "status $status under seep: $*"
}

# trace_bare RECORDING PROG ARG...: without `seep run`. `env` is not traced: it
# sets the environment for what it becomes.
trace_bare()
{
	recording=$1
	shift
	rm -f "$recording" # what is waited for must be the new one
	status=0
	run_within "$LIMIT" env SEEP_OUTPUT="$recording" SEEP_BIN="$SEEP" \
	    LD_PRELOAD="${PRELOAD:-$SEEP_SHIM}" "$@" 3>>truth || status=$?
	[ $status -ne 124 ] || fail "hangs under the shim: $*"
	wait_for_recording "$recording"
}

# A bare preload's collector ends by itself, after the program.
wait_for_recording()
{
	"$PYTHON3" "$tests/tools/wait_recording.py" "$1" ||
	    fail "the recording $1 is not finished"
}

# report [RECORDING] [OPTION...]: JSON into ./report.json
report()
{
	recording=${1:-rec}
	[ $# -eq 0 ] || shift
	run_within 60 "$SEEP" report "$recording" --format json "$@" \
	    >report.json 2>report.err || {
		cat report.err >&2
		fail "report $recording"
	}
}

# check_truth [OPTION...]: ./report.json against ./truth
check_truth()
{
	"$PYTHON3" "$tests/tools/check_truth.py" report.json truth "$@" >&2 ||
	    fail "the report differs from the truth"
}

# check_sample [OPTION...]: the same of a sample, see the tool
check_sample()
{
	"$PYTHON3" "$tests/tools/check_sample.py" report.json truth "$@" >&2 ||
	    fail "the sample differs from the truth"
}

# exact [OPTION...]: report and compare
exact()
{
	report rec
	check_truth "$@"
}

# json EXPRESSION: evaluates Python over the report `r`, prints the result
json()
{
	"$PYTHON3" -c '
import json, os, sys
r = json.load(open("report.json"))
p = r.get("processes", [])
def base(x): return os.path.basename(x or "")
print(eval(sys.argv[1]))' "$1"
}

# holds EXPRESSION [WHY]: the same must be true
holds()
{
	[ "$(json "bool($1)")" = True ] ||
	    fail "${2:-$1}: $(json "$1")"
}

# same_as_untraced PROG ARG...: output and status with and without seep
same_as_untraced()
{
	plain=0
	# Not within a limit: `timeout` has a word of its own for crashes.
	"$@" >plain.out 2>plain.err </dev/null 3>/dev/null || plain=$?
	trace "$@" >traced.out 2>traced.err </dev/null
	[ $plain -eq $status ] ||
	    fail "status $status under seep, $plain without: $*"
	cmp plain.out traced.out >&2 || fail "stdout differs: $*"
	cmp plain.err traced.err >&2 || fail "stderr differs: $*"
}

# as_valgrind [OPTION...] -- PROG ARG...: the same survivors as valgrind sees
as_valgrind()
{
	if ! command -v valgrind >/dev/null; then
		echo "no valgrind: survivors not compared" >&2
		return 0
	fi
	run_within "$LIMIT" "$PYTHON3" "$tests/tools/compare_valgrind.py" "$@" \
	    >valgrind.txt || {
		cat valgrind.txt >&2
		fail "survivors differ from valgrind's"
	}
}

# compared NAME PROG ARG...: traced by the check build; every stack must be
# libunwind's. Leaves the sums in ./NAME.sums. See preload/oracle.h.
compared()
{
	name=$1
	shift
	shim=$(dirname "$SEEP_SHIM")/../preload/check/.libs/libseep.so
	[ -e "$shim" ] || skip "no check build (is libunwind there?)"
	rm -f "$name.check"*
	status=0
	SEEP_SHIM=$shim SEEP_CHECK_FILE=$PWD/$name.check run_within "$LIMIT" \
	    "$SEEP" run -q -o "$name.rec" -- "$@" >"$name.out" || status=$?
	[ $status -eq 0 ] || fail "$name: status $status under the check build"
	"$PYTHON3" "$tests/tools/check_unwinding.py" "$name.check" \
	    >"$name.sums" || {
		cat "$name.sums" "$name.check.txt" >&2
		fail "$name: stacks that are not libunwind's"
	}
}

# sum_of NAME WHAT: a figure of `compared`
sum_of()
{
	awk -v what="$2" '$1 == what { print $2 }' "$1.sums"
}
