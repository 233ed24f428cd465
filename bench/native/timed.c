/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timed.c: runs a command and notes when it ran and what it cost, seen from inside.
 *
 *   timed FILE [CMD ARG...]
 *
 * FILE gets one line: CLOCK_BOOTTIME in ns at the first instruction of this program, user and system CPU time of CMD
 * in us (its descendants that were waited for included), CLOCK_BOOTTIME at the end. Exits with CMD's status, 128 + N
 * for signal N, 125 when the measurement itself failed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now(void)
{
	struct timespec at;

	clock_gettime(CLOCK_BOOTTIME, &at);
	return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static long long micros(struct timeval time)
{
	return time.tv_sec * 1000000LL + time.tv_usec;
}

int main(int argc, char **argv)
{
	long long start = now();
	struct rusage usage = {0};
	int status = 0;
	FILE *out;

	if (argc < 2 || !(out = fopen(argv[1], "w")))
		return 125;
	if (argc > 2) {
		pid_t pid = fork();

		if (pid == 0) {
			execvp(argv[2], argv + 2);
			_exit(127);
		}
		if (pid < 0 || wait4(pid, &status, 0, &usage) != pid)
			return 125;
	}
	/* The end is noted last, with nothing to do behind it but the exit: the file is unbuffered. */
	setvbuf(out, NULL, _IONBF, 0);
	fprintf(out, "%lld %lld %lld ", start, micros(usage.ru_utime), micros(usage.ru_stime));
	fprintf(out, "%lld\n", now());
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
