# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2034,SC2154
# packages.sh - what tools/demo and tools/check share; sourced, with $top set.

packages_build='gcc g++ libc6-dev make autoconf automake libtool pkg-config
	libdw-dev libelf-dev libsqlite3-dev libjansson-dev zlib1g-dev
	libiberty-dev liblzma-dev libdebuginfod-dev'

# What the tests compare with, run as victims, or are written in.
packages_check='check clang clang-format libunwind-dev
	binutils file git procps util-linux elfutils mandoc
	valgrind sqlite3 python3 python3-jsonschema perl jq libxml2-utils
	redis-server redis-tools nginx-light musl-tools
	libjemalloc-dev libgoogle-perftools-dev libmimalloc-dev'

# For tests of 32-bit programs (gcc-multilib would bring these, too, but drives
# out compilers for other CPUs), and for the shim of aarch64 under an emulator.
packages_wanted='libc6-dev-i386 lib32gcc-12-dev g++-aarch64-linux-gnu
	qemu-user'

say()
{
	printf '== %s\n' "$*" >&2
}

die()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# as_root COMMAND...: through sudo where that is needed.
as_root()
{
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null 2>&1; then
		sudo "$@"
	else
		die "must be root (or have sudo) to run: $*"
	fi
}

has_package()
{
	[ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

apt_install()
{
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q \
	    --no-install-recommends "$@"
}

# Installing a server would start it: say no, until the installation is over.
rc_policy=/usr/sbin/policy-rc.d
deny_services()
{
	[ -e $rc_policy ] && return 0
	trap allow_services EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	printf '#!/bin/sh\n# seep tools/packages.sh\nexit 101\n' |
	    as_root sh -c "cat >$rc_policy && chmod 755 $rc_policy"
}

allow_services()
{
	grep -qs 'seep tools/packages.sh' $rc_policy && as_root rm -f $rc_policy
	trap - EXIT HUP INT TERM
}

# need_packages PACKAGE...: installs those that are not there.
need_packages()
{
	missing=
	for package in "$@"; do
		has_package "$package" || missing="$missing $package"
	done
	[ -n "$missing" ] || return 0
	command -v apt-get >/dev/null 2>&1 ||
	    die "not a Debian system; please install by hand:$missing"
	say "installing:$missing"
	mkdir -p "$top/build"
	apt_log=$top/build/apt.log
	deny_services
	# shellcheck disable=SC2086 # a list of words
	if ! apt_install $missing >"$apt_log" 2>&1 </dev/null; then
		# Most often no package lists yet, or old ones.
		as_root apt-get update -q >>"$apt_log" 2>&1 </dev/null || :
		if ! apt_install $missing >>"$apt_log" 2>&1 </dev/null; then
			tail -n 20 "$apt_log" >&2
			die "could not install:$missing"
		fi
	fi
	allow_services
}

# want_packages PACKAGE...: as above, but without them tests are skipped.
want_packages()
{
	for package in "$@"; do
		(need_packages "$package") 2>/dev/null ||
		    say "no package $package here: what needs it is skipped"
	done
}

# logged LOG COMMAND...: quiet unless it fails.
logged()
{
	log=$1
	shift
	"$@" >"$log" 2>&1 </dev/null || {
		tail -n 40 "$log" >&2
		die "failed: $* (see $log)"
	}
}

# build_seep FOLDER [CONFIGURE-OPTION...]: autoreconf, configure, make.
build_seep()
{
	folder=$1
	shift
	mkdir -p "$folder"
	# Once they are there, make keeps them up to date itself.
	if [ ! -e "$top/configure" ] || [ ! -e "$top/Makefile.in" ]; then
		say "autoreconf"
		(cd "$top" && logged "$folder/autoreconf.log" autoreconf -i -f) ||
		    exit 1
	fi
	say "building in $folder"
	(
		cd "$folder" || exit 1
		if [ ! -e Makefile ] || [ $# -gt 0 ]; then
			logged configure.log "$top/configure" "$@"
		fi
		logged make.log make -j"$(nproc)"
	) || exit 1
}
