/* SPDX-License-Identifier: MIT */
/* main.c - the `seep` program: finds the command and runs it */
#include <stdio.h>
#include <string.h>

#include "analyzer/cmd/cmd.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "0"
#endif

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help; /* NULL: not for people */
} commands[] = {
    {"run", seep_cmd_run, "trace a program from its start to its end"},
    {"report", seep_cmd_report, "what is alive, and who allocated it"},
    {"growth", seep_cmd_growth, "what grew between two snapshots"},
    {"diff", seep_cmd_diff, "compare two recordings"},
    {"ps", seep_cmd_ps, "list the processes being traced"},
    {"snapshot", seep_cmd_snapshot, "take a snapshot of a traced process"},
    {"collect", seep_cmd_collect, NULL},
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < NR_COMMANDS; i++) {
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	}
	return NULL;
}

static void usage(FILE *f)
{
	fputs("usage: seep COMMAND [ARGUMENT]...\n\n"
	      "What grows in a running program, which call site made it, "
	      "and who still holds it.\n\ncommands:\n",
	    f);
	for (size_t i = 0; i < NR_COMMANDS; i++) {
		if (commands[i].help)
			fprintf(f, "  %-10s%s\n", commands[i].name,
			    commands[i].help);
	}
	fputs("  help      print this text, or 'help COMMAND': its options\n\n"
	      "  seep run PROG ARG...     trace, then print what survived\n"
	      "  seep growth PID          twice: what grew in between\n",
	    f);
}

static int help(const char *name)
{
	const struct command *c = name ? find(name) : NULL;
	char *argv[] = {(char *)name, (char *)"-h", NULL};

	if (c)
		return c->run(2, argv);
	if (name) {
		fprintf(stderr, "seep: no command is called '%s'\n", name);
		return 2;
	}
	usage(stdout);
	return seep_cmd_close_stdout(0);
}

int main(int argc, char **argv)
{
	const struct command *c;

	if (argc < 2) {
		usage(stderr);
		return 2;
	}
	if (!strcmp(argv[1], "help") || !strcmp(argv[1], "--help") ||
	    !strcmp(argv[1], "-h"))
		return help(argc > 2 ? argv[2] : NULL);
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		puts("seep " PACKAGE_VERSION);
		return seep_cmd_close_stdout(0);
	}
	c = find(argv[1]);
	if (!c) {
		fprintf(stderr,
		    "seep: no command is called '%s', 'seep help' lists them\n",
		    argv[1]);
		return 2;
	}
	return c->run(argc - 1, argv + 1);
}
