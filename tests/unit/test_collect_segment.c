/* SPDX-License-Identifier: MIT */
/* test_collect_segment.c - what is taken for a segment, and what is not */
#include <errno.h>
#include <sys/socket.h>

#include "analyzer/collect/fdmsg.h"
#include "analyzer/collect/segment.h"
#include "tests/unit/collect_fixture.h"

static struct seep_hello hello(void)
{
	return (struct seep_hello){.magic = SEEP_HELLO_MAGIC,
	    .version = SEEP_WIRE_VERSION,
	    .pid = (uint32_t)getpid()};
}

static struct seep_error *take(int fd, struct seep_segment **ret)
{
	struct seep_hello h = hello();

	return seep_segment_open(
	    &h, (uint32_t)getpid(), geteuid(), -1, &fd, 1, ret);
}

static int nr_descriptors(void)
{
	int nr = 0;

	for (int fd = 0; fd < 256; fd++)
		nr += fcntl(fd, F_GETFD) >= 0;
	return nr;
}

START_TEST(a_sealed_segment_is_taken)
{
	struct seep_segment *seg = NULL;
	struct fake_segment f;

	fake_init(&f, "/bin/prog");
	fake_seal(&f);
	no_error(take(dup(f.fd), &seg));
	ck_assert_str_eq(seg->exe, "/bin/prog");
	ck_assert_str_eq(seg->command[0], "prog");
	ck_assert_str_eq(seg->command[1], "arg");
	ck_assert_ptr_null(seg->command[2]);
	ck_assert(!seep_segment_has_ended(seg));
	seep_segment_set_epoch(seg, 77);
	ck_assert_uint_eq(f.pool.head->epoch, 77);
	seep_segment_beat(seg, 5);
	ck_assert_uint_eq(f.pool.head->heartbeat_ns, 5);
	ck_assert_int_eq(seep_segment_state(seg), SEEP_STATE_RUNNING);
	ck_assert_uint_gt(seep_segment_used_bytes(seg), 0);
	seep_segment_close(seg);
	fake_deinit(&f);
}
END_TEST

START_TEST(a_memfd_that_could_shrink_is_refused)
{
	struct seep_segment *seg = NULL;
	struct fake_segment f;

	fake_init(&f, "/bin/prog");
	ck_assert_int_eq(
	    fcntl(f.fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SEAL), 0);
	some_error(take(dup(f.fd), &seg), "sealed");
	fake_deinit(&f);
}
END_TEST

START_TEST(a_file_or_a_pipe_is_refused)
{
	struct seep_segment *seg = NULL;
	int fds[2];

	some_error(take(open("/proc/self/exe", O_RDONLY), &seg), "sealed");
	ck_assert_int_eq(pipe(fds), 0);
	some_error(take(fds[0], &seg), "sealed");
	close(fds[1]);
	some_error(take(-1, &seg), "no descriptor");
}
END_TEST

START_TEST(a_memfd_without_our_magic_is_refused)
{
	struct seep_segment *seg = NULL;
	struct fake_segment f;

	fake_init(&f, "/bin/prog");
	f.pool.head->magic = 0;
	fake_seal(&f);
	some_error(take(dup(f.fd), &seg), "damaged");
	fake_deinit(&f);
}
END_TEST

START_TEST(texts_that_lie_outside_are_no_texts)
{
	struct seep_segment *seg = NULL;
	struct fake_segment f;

	fake_init(&f, "/bin/prog");
	f.pool.head->exe_at = UINT64_MAX - 5;
	f.pool.head->cmdline_len = UINT32_MAX;
	fake_seal(&f);
	no_error(take(dup(f.fd), &seg));
	ck_assert_ptr_null(seg->exe);
	seep_segment_close(seg);
	fake_deinit(&f);
}
END_TEST

START_TEST(memory_that_is_not_of_procfs_is_not_kept)
{
	struct seep_segment *seg = NULL;
	struct seep_hello h = hello();
	struct fake_segment f;
	int fds[3], pipefd[2];

	fake_init(&f, "/bin/prog");
	fake_seal(&f);
	ck_assert_int_eq(pipe(pipefd), 0);
	fds[0] = dup(f.fd);
	fds[1] = pipefd[0]; /* reading it would wait for ever */
	fds[2] = open("/proc/self/maps", O_RDONLY);
	no_error(seep_segment_open(
	    &h, (uint32_t)getpid(), geteuid(), -1, fds, 3, &seg));
	ck_assert_int_eq(seg->fds[SEEP_SEGMENT_MEM], -1);
	ck_assert_int_ge(seg->fds[SEEP_SEGMENT_MAPS], 0);
	ck_assert(!seep_segment_is_replaced(seg));
	seep_segment_close(seg);
	close(pipefd[1]);
	fake_deinit(&f);
}
END_TEST

START_TEST(living_memory_is_not_replaced)
{
	struct seep_segment *seg = NULL;
	struct seep_hello h = hello();
	struct fake_segment f;
	int fds[2];

	fake_init(&f, "/bin/prog");
	fake_seal(&f);
	fds[0] = dup(f.fd);
	fds[1] = open("/proc/self/mem", O_RDONLY);
	no_error(seep_segment_open(
	    &h, (uint32_t)getpid(), geteuid(), -1, fds, 2, &seg));
	ck_assert_int_ge(seg->fds[SEEP_SEGMENT_MEM], 0);
	ck_assert(!seep_segment_is_replaced(seg));
	seep_segment_close(seg);
	fake_deinit(&f);
}
END_TEST

START_TEST(excess_descriptors_are_closed)
{
	int pair[2], fds[SEEP_FDMSG_MAX], got[2], before;
	char byte = 'x';
	size_t nr;

	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	for (int i = 0; i < SEEP_FDMSG_MAX; i++)
		fds[i] = 0;
	ck_assert_int_eq(
	    seep_fdmsg_send(pair[0], &byte, 1, fds, SEEP_FDMSG_MAX), 1);
	before = nr_descriptors();
	ck_assert_int_eq(seep_fdmsg_recv(pair[1], &byte, 1, got, 2, &nr), 1);
	ck_assert_uint_eq(nr, 2);
	ck_assert_int_eq(nr_descriptors(), before + 2);
	ck_assert_int_eq(fcntl(got[0], F_GETFD), FD_CLOEXEC);
}
END_TEST

START_TEST(a_cut_message_brings_no_descriptor)
{
	char big[64] = "x", small[8];
	int pair[2], fd = 0, got[2], before;
	size_t nr;

	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	ck_assert_int_eq(
	    seep_fdmsg_send(pair[0], big, sizeof(big), &fd, 1), sizeof(big));
	before = nr_descriptors();
	ck_assert_int_eq(
	    seep_fdmsg_recv(pair[1], small, sizeof(small), got, 2, &nr), -1);
	ck_assert_int_eq(errno, EMSGSIZE);
	ck_assert_uint_eq(nr, 0);
	ck_assert_int_eq(nr_descriptors(), before);
	/* And nothing more there: it does not wait. */
	ck_assert_int_eq(
	    seep_fdmsg_recv(pair[1], small, sizeof(small), got, 2, &nr), -1);
	ck_assert_int_eq(errno, EAGAIN);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("collect_segment");
	TCase *tc = tcase_create("segment");

	tcase_add_test(tc, a_sealed_segment_is_taken);
	tcase_add_test(tc, a_memfd_that_could_shrink_is_refused);
	tcase_add_test(tc, a_file_or_a_pipe_is_refused);
	tcase_add_test(tc, a_memfd_without_our_magic_is_refused);
	tcase_add_test(tc, texts_that_lie_outside_are_no_texts);
	tcase_add_test(tc, memory_that_is_not_of_procfs_is_not_kept);
	tcase_add_test(tc, living_memory_is_not_replaced);
	tcase_add_test(tc, excess_descriptors_are_closed);
	tcase_add_test(tc, a_cut_message_brings_no_descriptor);
	suite_add_tcase(s, tc);
	return fixture_main(s);
}
