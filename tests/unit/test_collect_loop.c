/* SPDX-License-Identifier: MIT */
/* test_collect_loop.c - the collector, with programs that are played */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "analyzer/collect/collector.h"
#include "analyzer/collect/control.h"
#include "analyzer/collect/fdmsg.h"
#include "analyzer/collect/protocol.h"
#include "analyzer/collect/session.h"
#include "tests/unit/collect_fixture.h"
#include "wire/ring.h"

#define TOKEN "000102030405060708090a0b0c0d0e0f"

static char socket_text[128];

static int make_listener(struct sockaddr_un *sun, socklen_t *len)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);

	snprintf(socket_text, sizeof(socket_text), "seep-test-%d:" TOKEN,
	    (int)getpid());
	memset(sun, 0, sizeof(*sun));
	sun->sun_family = AF_UNIX;
	*len = (socklen_t)strcspn(socket_text, ":");
	memcpy(sun->sun_path + 1, socket_text, *len);
	*len += (socklen_t)offsetof(struct sockaddr_un, sun_path) + 1;
	ck_assert_int_eq(bind(fd, (struct sockaddr *)sun, *len), 0);
	ck_assert_int_eq(listen(fd, 100), 0);
	return fd;
}

/* In the played program: reports as the shim does. */
static void report(const struct fake_segment *f, const struct sockaddr_un *sun,
    socklen_t len, uint32_t flags)
{
	const struct seep_header *h = f->pool.head;
	struct seep_hello hello = {.magic = SEEP_HELLO_MAGIC,
	    .version = SEEP_WIRE_VERSION,
	    .pid = (uint32_t)getpid(),
	    .ppid = (uint32_t)getppid(),
	    .flags = flags,
	    .start_ns = h->start_ns,
	    .segment_bytes = h->segment_bytes};
	int s = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	int fds[2] = {f->fd, open("/proc/self/mem", O_RDONLY)};

	for (uint8_t i = 0; i < 16; i++)
		hello.token[i] = i;
	if (connect(s, (const struct sockaddr *)sun, len) < 0 ||
	    seep_fdmsg_send(s, &hello, sizeof(hello), fds, 2) < 0)
		_exit(99);
	close(s);
	close(fds[1]);
}

struct fixture {
	struct fake_sink *sink;
	struct sockaddr_un sun;
	socklen_t len;
	struct seep_collector_options opt;
	struct seep_collector_result result;
	char folder[64];
};

static void set_up(struct fixture *f)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	memset(f, 0, sizeof(*f));
	strcpy(f->folder, "/tmp/seep-unit.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(f->folder));
	setenv("XDG_RUNTIME_DIR", f->folder, 1);
	f->sink = fake_sink_create();
	f->opt.sink = &f->sink->sink;
	f->opt.listener = make_listener(&f->sun, &f->len);
	f->opt.session = -1;
	f->opt.socket = socket_text;
	f->opt.patience_ms = 50;
}

static void run(struct fixture *f)
{
	no_error(seep_collector_run(&f->opt, &f->result));
}

static void tear_down(struct fixture *f)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/seep", f->folder);
	/* Empty: every entry was withdrawn. */
	ck_assert_int_eq(rmdir(path), 0);
	rmdir(f->folder);
	free(f->result.missing);
	fake_sink_destroy(f->sink);
}

static void three_blocks(struct fake_segment *seg)
{
	uint32_t exe = fake_module(seg, "/bin/prog");
	uint32_t node = fake_node(seg, fake_node(seg, 0, exe, 1), exe, 2);

	for (int i = 0; i < 3; i++)
		fake_alloc(seg, node, 1000);
}

START_TEST(nobody_comes_and_it_ends)
{
	struct fixture f;

	set_up(&f);
	run(&f);
	ck_assert_int_eq(f.sink->opened, 0);
	ck_assert_uint_eq(f.result.nr_processes, 0);
	tear_down(&f);
}
END_TEST

START_TEST(a_program_that_is_gone_before_we_look_is_recorded)
{
	struct fixture f;
	pid_t pid;

	set_up(&f);
	pid = fork();
	if (pid == 0) {
		struct fake_segment seg;

		fake_init(&seg, "/bin/prog");
		fake_seal(&seg);
		three_blocks(&seg);
		report(&seg, &f.sun, f.len, 0);
		_exit(7);
	}
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	run(&f);
	ck_assert_uint_eq(f.sink->nr_procs, 1);
	ck_assert_int_eq(f.sink->procs[0].state, SEEP_PROCESS_EXITED);
	ck_assert_uint_eq(f.sink->procs[0].totals.live_blocks, 3);
	ck_assert_uint_eq(f.sink->procs[0].totals.live_bytes, 3000);
	ck_assert_uint_eq(f.sink->procs[0].peak_live_bytes, 3000);
	ck_assert_int_eq(
	    f.sink->snaps[f.sink->nr_snaps - 1].kind, SEEP_SNAPSHOT_END);
	ck_assert_uint_eq(f.sink->nr_survivors, 1);
	ck_assert_uint_eq(f.sink->survivors[0].blocks, 3);
	ck_assert_int_eq(f.sink->finished, 1);
	tear_down(&f);
}
END_TEST

START_TEST(a_killed_program_keeps_what_it_recorded)
{
	struct fixture f;
	pid_t pid;

	set_up(&f);
	pid = fork();
	if (pid == 0) {
		struct fake_segment seg;

		fake_init(&seg, "/bin/prog");
		fake_seal(&seg);
		report(&seg, &f.sun, f.len, 0);
		three_blocks(&seg);
		raise(SIGKILL);
	}
	run(&f);
	ck_assert_int_eq(f.sink->procs[0].exit_signal, SIGKILL);
	ck_assert_uint_eq(f.sink->procs[0].totals.live_bytes, 3000);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	tear_down(&f);
}
END_TEST

START_TEST(a_new_image_of_a_pid_is_a_new_process)
{
	struct fixture f;
	pid_t pid;

	set_up(&f);
	pid = fork();
	if (pid == 0) {
		struct fake_segment one, two;

		fake_init(&one, "/bin/one");
		fake_seal(&one);
		report(&one, &f.sun, f.len, 0);
		three_blocks(&one);
		fake_init(&two, "/bin/two");
		fake_seal(&two);
		three_blocks(&two);
		report(&two, &f.sun, f.len, 0);
		_exit(0);
	}
	run(&f);
	ck_assert_uint_eq(f.sink->nr_procs, 2);
	ck_assert_int_eq(f.sink->procs[0].state, SEEP_PROCESS_EXECED);
	ck_assert_int_eq(f.sink->procs[1].state, SEEP_PROCESS_EXITED);
	ck_assert_int_eq(f.sink->procs[1].parent_id, 0);
	ck_assert_uint_eq(f.sink->procs[0].totals.live_blocks, 3);
	waitpid(pid, NULL, 0);
	tear_down(&f);
}
END_TEST

START_TEST(a_forked_child_has_a_parent_and_inherits)
{
	struct fixture f;
	pid_t pid;

	set_up(&f);
	pid = fork();
	if (pid == 0) {
		struct fake_segment one, two;
		pid_t child;

		fake_init(&one, "/bin/one");
		fake_seal(&one);
		three_blocks(&one);
		report(&one, &f.sun, f.len, 0);
		one.pool.head->children = 1;
		child = fork();
		if (child == 0) {
			fake_init(&two, "/bin/one");
			fake_seal(&two);
			report(&two, &f.sun, f.len, SEEP_FLAG_FORKED);
			_exit(0);
		}
		waitpid(child, NULL, 0);
		_exit(0);
	}
	run(&f);
	ck_assert_uint_eq(f.sink->nr_procs, 2);
	ck_assert(f.sink->procs[1].forked);
	ck_assert_int_eq(f.sink->procs[1].parent_id, 1);
	ck_assert_uint_eq(f.sink->procs[1].inherited_blocks, 3);
	ck_assert_uint_eq(f.sink->procs[1].inherited_bytes, 3000);
	ck_assert_uint_eq(f.sink->procs[1].totals.live_blocks, 0);
	ck_assert_uint_eq(f.sink->procs[0].drops[SEEP_DROP_CHILD_UNTRACED], 0);
	waitpid(pid, NULL, 0);
	tear_down(&f);
}
END_TEST

START_TEST(a_child_that_never_reports_is_counted)
{
	struct fixture f;
	pid_t pid;

	set_up(&f);
	pid = fork();
	if (pid == 0) {
		struct fake_segment seg;

		fake_init(&seg, "/bin/prog");
		fake_seal(&seg);
		seg.pool.head->children = 2;
		seg.pool.head->drops[SEEP_DROP_NESTED] = 5;
		report(&seg, &f.sun, f.len, 0);
		_exit(0);
	}
	run(&f);
	ck_assert_uint_eq(f.sink->procs[0].drops[SEEP_DROP_CHILD_UNTRACED], 2);
	ck_assert_uint_eq(f.sink->procs[0].drops[SEEP_DROP_NESTED], 5);
	waitpid(pid, NULL, 0);
	tear_down(&f);
}
END_TEST

START_TEST(a_full_disk_is_tried_again)
{
	struct fixture f;
	pid_t pid;

	set_up(&f);
	f.sink->fail = 2;
	pid = fork();
	if (pid == 0) {
		struct fake_segment seg;

		fake_init(&seg, "/bin/prog");
		fake_seal(&seg);
		three_blocks(&seg);
		report(&seg, &f.sun, f.len, 0);
		_exit(0);
	}
	run(&f);
	ck_assert_int_ge(f.sink->rollbacks, 2);
	ck_assert_uint_eq(f.sink->nr_procs, 1);
	ck_assert_uint_eq(f.sink->procs[0].totals.live_blocks, 3);
	ck_assert_ptr_null(f.result.missing);
	waitpid(pid, NULL, 0);
	tear_down(&f);
}
END_TEST

START_TEST(a_disk_that_stays_full_is_said)
{
	struct fixture f;
	pid_t pid;

	set_up(&f);
	f.sink->fail = 1000000;
	pid = fork();
	if (pid == 0) {
		struct fake_segment seg;

		fake_init(&seg, "/bin/prog");
		fake_seal(&seg);
		report(&seg, &f.sun, f.len, 0);
		_exit(0);
	}
	run(&f);
	ck_assert_ptr_nonnull(f.result.missing);
	ck_assert_ptr_nonnull(strstr(f.result.missing, "no space"));
	waitpid(pid, NULL, 0);
	tear_down(&f);
}
END_TEST

START_TEST(a_damaged_segment_spoils_nobody_elses)
{
	struct fixture f;
	pid_t pid[2];

	set_up(&f);
	for (int i = 0; i < 2; i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			struct fake_segment seg;

			fake_init(&seg, i ? "/bin/good" : "/bin/bad");
			fake_seal(&seg);
			three_blocks(&seg);
			if (!i)
				seg.pool.head->map_root[SEEP_TIER_SMALL] =
				    FAKE_PAGES + 1;
			report(&seg, &f.sun, f.len, 0);
			_exit(0);
		}
		waitpid(pid[i], NULL, 0);
	}
	run(&f);
	ck_assert_uint_eq(f.sink->nr_procs, 2);
	ck_assert_uint_eq(f.sink->procs[1].totals.live_blocks, 3);
	ck_assert_ptr_nonnull(strstr(f.sink->events, "damaged"));
	ck_assert_ptr_null(f.result.missing);
	tear_down(&f);
}
END_TEST

START_TEST(events_of_threads_are_stored_once)
{
	struct fixture f;
	pid_t pid;

	set_up(&f);
	pid = fork();
	if (pid == 0) {
		struct seep_event e = {.kind = SEEP_EVENT_FORK, .value = 77};
		struct fake_segment seg;
		struct seep_ring *ring;
		uint32_t page;

		fake_init(&seg, "/bin/prog");
		fake_seal(&seg);
		page = fake_page(&seg);
		ring = seep_pool_page(&seg.pool, page);
		seg.slot->ring_page = page;
		e.at_ns = seg.pool.head->start_ns;
		if (!seep_ring_put(ring, &e, ""))
			_exit(1);
		e.kind = SEEP_EVENT_EXEC;
		if (!seep_ring_put(ring, &e, "/bin/other"))
			_exit(1);
		report(&seg, &f.sun, f.len, 0);
		_exit(0);
	}
	run(&f);
	ck_assert_str_eq(f.sink->events, "fork exec ");
	waitpid(pid, NULL, 0);
	tear_down(&f);
}
END_TEST

START_TEST(a_ring_that_lies_is_left_out)
{
	struct fixture f;
	pid_t pid;

	set_up(&f);
	pid = fork();
	if (pid == 0) {
		struct fake_segment seg;
		struct seep_ring *ring;
		uint32_t page;

		fake_init(&seg, "/bin/prog");
		fake_seal(&seg);
		three_blocks(&seg);
		page = fake_page(&seg);
		ring = seep_pool_page(&seg.pool, page);
		ring->head = 1ull << 40;
		ring->tail = 12345;
		seg.slot->ring_page = page;
		report(&seg, &f.sun, f.len, 0);
		_exit(0);
	}
	run(&f);
	ck_assert_str_eq(f.sink->events, "");
	ck_assert_uint_eq(f.sink->procs[0].totals.live_blocks, 3);
	waitpid(pid, NULL, 0);
	tear_down(&f);
}
END_TEST

START_TEST(a_wrong_token_is_not_let_in)
{
	struct fixture f;
	pid_t pid;

	set_up(&f);
	f.opt.socket = "x:ffffffffffffffffffffffffffffffff";
	pid = fork();
	if (pid == 0) {
		struct fake_segment seg;

		fake_init(&seg, "/bin/prog");
		fake_seal(&seg);
		report(&seg, &f.sun, f.len, 0);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	run(&f);
	ck_assert_uint_eq(f.result.nr_processes, 0);
	tear_down(&f);
}
END_TEST

START_TEST(noise_on_the_socket_does_no_harm)
{
	static const char noise[100000];
	struct fixture f;
	int size = sizeof(noise) * 4;

	set_up(&f);
	for (size_t len = 1; len < sizeof(noise); len = len * 3 + 1) {
		int s = socket(AF_UNIX, SOCK_SEQPACKET, 0), fds[8] = {0};

		setsockopt(s, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		ck_assert_int_eq(
		    connect(s, (struct sockaddr *)&f.sun, f.len), 0);
		ck_assert_int_eq(
		    seep_fdmsg_send(s, noise, len, fds, len % 9), (ssize_t)len);
		close(s);
	}
	run(&f);
	ck_assert_uint_eq(f.result.nr_processes, 0);
	tear_down(&f);
}
END_TEST

/* Plays a program that lives until the last end of its pipe is closed. */
static pid_t start_program(struct fixture *f, int *gate)
{
	int fds[2];
	pid_t pid;
	char c;

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		struct fake_segment seg;

		close(fds[1]);
		fake_init(&seg, "/bin/prog");
		fake_seal(&seg);
		three_blocks(&seg);
		report(&seg, &f->sun, f->len, 0);
		(void)!read(fds[0], &c, 1);
		_exit(0);
	}
	close(fds[0]);
	*gate = fds[1];
	return pid;
}

/* In the client: until the collector has announced it. */
static struct seep_control *find(pid_t pid)
{
	struct seep_control *ctl = NULL;
	struct seep_error *err;

	while ((err = seep_control_find((uint32_t)pid, &ctl))) {
		seep_error_destroy(err);
		sched_yield();
	}
	return ctl;
}

START_TEST(a_snapshot_on_request_is_committed_when_answered)
{
	struct fixture f;
	pid_t program, client;
	int gate, status;

	set_up(&f);
	program = start_program(&f, &gate);
	client = fork();
	if (client == 0) {
		struct seep_control *ctl = find(program);
		struct seep_control_snapshot s;
		struct seep_control_growth a, b;
		struct seep_error *err;

		err = seep_control_snapshot(ctl, "here", &s);
		if (err || s.live_bytes != 3000 || s.process_id != 1 ||
		    !s.snapshot || strcmp(s.recording, "/recording"))
			_exit(1);
		err = seep_control_growth(ctl, &a);
		if (err || a.from != 0 || a.to <= s.snapshot)
			_exit(2);
		err = seep_control_growth(ctl, &b);
		if (err || b.from != a.to || b.to <= a.to)
			_exit(3);
		_exit(0);
	}
	close(gate);
	gate = -1;
	/* The program waits for its pipe, whose last end the client holds. */
	run(&f);
	ck_assert_int_eq(waitpid(client, &status, 0), client);
	ck_assert_int_eq(status, 0);
	waitpid(program, NULL, 0);
	ck_assert_uint_eq(f.sink->nr_survivors, 1);
	tear_down(&f);
}
END_TEST

START_TEST(processes_are_listed_and_strangers_are_told_apart)
{
	struct fixture f;
	pid_t program, client;
	int gate, status;

	set_up(&f);
	program = start_program(&f, &gate);
	client = fork();
	if (client == 0) {
		struct seep_control *ctl = find(program);
		struct seep_control_process *p = NULL;
		struct seep_error *err;
		size_t nr = 0;

		seep_control_destroy(ctl);
		err = seep_control_list(&p, &nr);
		if (err || nr < 1)
			_exit(1);
		for (size_t i = 0; i < nr; i++)
			if (p[i].pid == (uint32_t)program &&
			    (!p[i].answers || p[i].live_bytes != 3000))
				_exit(2);
		err = seep_control_find((uint32_t)getpid(), &ctl);
		if (!err || !strstr(seep_error_text(err), "not traced"))
			_exit(3);
		err = seep_control_find(0x7ffffff0, &ctl);
		if (!err || !strstr(seep_error_text(err), "no process"))
			_exit(4);
		_exit(0);
	}
	close(gate);
	run(&f);
	ck_assert_int_eq(waitpid(client, &status, 0), client);
	ck_assert_int_eq(status, 0);
	waitpid(program, NULL, 0);
	tear_down(&f);
}
END_TEST

START_TEST(a_stopped_collector_is_named_and_not_waited_for)
{
	struct fixture f;
	struct seep_control *ctl;
	struct seep_control_snapshot s;
	pid_t program, collector;
	int gate, status;

	set_up(&f);
	program = start_program(&f, &gate);
	collector = fork();
	if (collector == 0) {
		run(&f);
		_exit(0);
	}
	ctl = find(program);
	ck_assert_int_eq(kill(collector, SIGSTOP), 0);
	ck_assert_int_eq(waitpid(collector, &status, WUNTRACED), collector);
	some_error(seep_control_snapshot(ctl, NULL, &s), "is stopped");
	kill(collector, SIGKILL);
	waitpid(collector, NULL, 0);
	close(f.opt.listener);
	some_error(seep_control_snapshot(ctl, NULL, &s), "is gone");
	seep_control_destroy(ctl);
	close(gate);
	waitpid(program, NULL, 0);
	fake_sink_destroy(f.sink);
}
END_TEST

START_TEST(a_signal_means_one_last_checkpoint)
{
	struct fixture f;
	pid_t program;
	int gate;

	set_up(&f);
	program = start_program(&f, &gate);
	f.opt.patience_ms = 60000;
	if (fork() == 0) {
		find(program);
		kill(getppid(), SIGTERM);
		_exit(0);
	}
	run(&f);
	ck_assert(f.result.is_cut_short);
	ck_assert_int_eq(f.sink->procs[0].state, SEEP_PROCESS_LOST);
	ck_assert_uint_eq(f.sink->procs[0].totals.live_blocks, 3);
	close(gate);
	waitpid(program, NULL, 0);
	tear_down(&f);
}
END_TEST

START_TEST(run_gets_what_a_new_collector_needs)
{
	struct seep_session_msg *msg = calloc(1, sizeof(*msg));
	int pair[2], gate, got, fds[SEEP_SESSION_FDS];
	bool has_hello = false, has_gone = false, has_done = false;
	struct fixture f;
	pid_t program, status_sender;
	size_t nr;

	set_up(&f);
	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	program = start_program(&f, &gate);
	f.opt.session = pair[0];
	f.opt.main_pid = (uint32_t)program;
	status_sender = fork();
	if (status_sender == 0) {
		find(program);
		msg->type = SEEP_SESSION_MAIN_OVER;
		msg->status = 5 << 8;
		/* The last end of its pipe: now the program ends. */
		_exit(!seep_session_send(pair[1], msg, NULL, 0));
	}
	close(gate);
	run(&f);
	while ((got = seep_session_recv(pair[1], msg, fds, &nr)) > 0) {
		has_hello |= msg->type == SEEP_SESSION_HELLO && nr >= 2 &&
			     msg->hello.pid == (uint32_t)program;
		has_gone |= msg->type == SEEP_SESSION_GONE;
		if (msg->type == SEEP_SESSION_DONE) {
			has_done = true;
			ck_assert_uint_eq(msg->flags,
			    SEEP_SESSION_HAS_MAIN | SEEP_SESSION_HAS_EXE);
		}
	}
	ck_assert(has_hello && has_gone && has_done);
	ck_assert_int_eq(f.sink->procs[0].exit_code, 5);
	free(msg);
	waitpid(program, NULL, 0);
	waitpid(status_sender, NULL, 0);
	tear_down(&f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("collect_loop");
	TCase *tc = tcase_create("loop");

	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, nobody_comes_and_it_ends);
	tcase_add_test(tc, a_program_that_is_gone_before_we_look_is_recorded);
	tcase_add_test(tc, a_killed_program_keeps_what_it_recorded);
	tcase_add_test(tc, a_new_image_of_a_pid_is_a_new_process);
	tcase_add_test(tc, a_forked_child_has_a_parent_and_inherits);
	tcase_add_test(tc, a_child_that_never_reports_is_counted);
	tcase_add_test(tc, a_full_disk_is_tried_again);
	tcase_add_test(tc, a_disk_that_stays_full_is_said);
	tcase_add_test(tc, a_damaged_segment_spoils_nobody_elses);
	tcase_add_test(tc, events_of_threads_are_stored_once);
	tcase_add_test(tc, a_ring_that_lies_is_left_out);
	tcase_add_test(tc, a_wrong_token_is_not_let_in);
	tcase_add_test(tc, noise_on_the_socket_does_no_harm);
	tcase_add_test(tc, a_snapshot_on_request_is_committed_when_answered);
	tcase_add_test(tc, processes_are_listed_and_strangers_are_told_apart);
	tcase_add_test(tc, a_stopped_collector_is_named_and_not_waited_for);
	tcase_add_test(tc, a_signal_means_one_last_checkpoint);
	tcase_add_test(tc, run_gets_what_a_new_collector_needs);
	suite_add_tcase(s, tc);
	return fixture_main(s);
}
