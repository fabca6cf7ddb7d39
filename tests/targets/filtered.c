/* SPDX-License-Identifier: MIT */
/*
 * filtered strict|fork: a child under a seccomp filter that kills for what a
 * worker never does (open, socket, memfd), allocates, with new stacks, and with
 * `fork` forks on (D52): the grandchild must live, and is counted as not
 * traced.
 */
#include "truth.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static const int harmless[] = {SYS_read, SYS_write, SYS_exit_group, SYS_exit,
    SYS_brk, SYS_mmap, SYS_munmap, SYS_mremap, SYS_mprotect, SYS_madvise,
    SYS_rt_sigreturn, SYS_futex, SYS_fcntl, SYS_getpid, SYS_gettid};
static const int forbidden[] = {SYS_open, SYS_openat, SYS_socket, SYS_connect,
    SYS_sendmsg, SYS_sendto, SYS_memfd_create, SYS_ftruncate};

static void filter(int strict)
{
	const int *calls = strict ? harmless : forbidden;
	int n = strict ? sizeof(harmless) / sizeof(int)
		       : sizeof(forbidden) / sizeof(int);
	struct sock_filter code[64];
	struct sock_fprog program = {.filter = code};
	unsigned yes = strict ? SECCOMP_RET_ALLOW : SECCOMP_RET_KILL_PROCESS;
	unsigned no = strict ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ALLOW;
	int at = 0;

	code[at++] = (struct sock_filter)BPF_STMT(
	    BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (int i = 0; i < n; i++) {
		code[at++] = (struct sock_filter)BPF_JUMP(
		    BPF_JMP | BPF_JEQ | BPF_K, calls[i], 0, 1);
		code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, yes);
	}
	code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, no);
	program.len = at;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		truth_die("seccomp");
}

__attribute__((noinline)) static void descend(int level)
{
	if (level % 3 == 0) {
		KEEP(malloc(400 + level), 400 + level);
		free(CHURN(malloc(level * 1000), level * 1000));
	}
	if (level)
		descend(level - 1);
	__asm__ volatile("" ::: "memory");
}

static void wait_for(pid_t pid, int wanted)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
	    WEXITSTATUS(status) != wanted) {
		dprintf(2, "wait status 0x%x\n", status);
		truth_die("the child ended badly");
	}
}

int main(int argc, char **argv)
{
	int strict = argc > 1 && !strcmp(argv[1], "strict");
	pid_t pid;

	KEEP(malloc(401), 401);
	pid = fork();
	if (!pid) {
		truth_reset();
		KEEP(malloc(402), 402);
		filter(strict);
		for (int i = 0; i < 60; i += 7)
			descend(i);
		if (!strict) {
			pid = fork();
			if (!pid) {
				for (int i = 0; i < 60; i += 9)
					descend(i);
				_exit(12); /* not traced: no truth */
			}
			wait_for(pid, 12);
			KEEP(malloc(403), 403);
		}
		truth_state();
		_exit(11);
	}
	wait_for(pid, 11);
	KEEP(malloc(404), 404);
	truth_state();
	return 0;
}
