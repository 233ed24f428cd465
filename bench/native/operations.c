/* SPDX-License-Identifier: Apache-2.0 */
/*
 * operations.c: performs a known list of operations at full speed, for bench/completeness.py.
 *
 *   operations DIR N
 *
 * Each kind is done N times on names that follow from its index, so the caller knows every path and result
 * beforehand. Any operation whose outcome is not the intended one ends the program with status 1.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void need(int truth, const char *what)
{
	if (truth)
		return;
	perror(what);
	exit(1);
}

static void reap(pid_t pid, int status)
{
	int got;

	need(pid > 0 && waitpid(pid, &got, 0) == pid && WIFEXITED(got) && WEXITSTATUS(got) == status, "child");
}

static void processes(int n)
{
	char tag[32];

	for (int i = 0; i < n; i++) { /* forks without exec */
		pid_t pid = fork();
		if (pid == 0)
			_exit(i % 128);
		reap(pid, i % 128);
	}
	for (int i = 0; i < n; i++) { /* double forks, the middle one leads a new session */
		pid_t pid = fork();
		if (pid == 0) {
			setsid();
			if (fork() == 0)
				_exit(7);
			_exit(8);
		}
		reap(pid, 8);
	}
	for (int i = 0; i < n; i++) { /* execs */
		pid_t pid = fork();
		snprintf(tag, sizeof(tag), "tag-%d", i);
		if (pid == 0) {
			execl("/bin/true", "true", tag, (char *)NULL);
			_exit(100);
		}
		reap(pid, 0);
	}
	for (int i = 0; i < n; i++) { /* execs that fail */
		snprintf(tag, sizeof(tag), "/no-such-%d", i);
		need(execl(tag, "x", (char *)NULL) == -1 && errno == ENOENT, "exec");
	}
}

static void files(int n)
{
	char a[64], b[64], buffer[16];

	for (int i = 0; i < n; i++) {
		snprintf(a, sizeof(a), "f%d", i);
		int fd = open(a, O_CREAT | O_EXCL | O_WRONLY, 0644);
		need(fd >= 0 && write(fd, a, strlen(a)) == (ssize_t)strlen(a) && close(fd) == 0, "create");
		fd = open(a, O_RDONLY);
		need(fd >= 0 && read(fd, buffer, sizeof(buffer)) == (ssize_t)strlen(a) && close(fd) == 0, "read");
		snprintf(b, sizeof(b), "missing%d", i);
		need(open(b, O_RDONLY) == -1 && errno == ENOENT, "missing");
		snprintf(b, sizeof(b), "l%d", i);
		need(link(a, b) == 0, "link");
		snprintf(b, sizeof(b), "s%d", i);
		need(symlink(a, b) == 0, "symlink");
		snprintf(b, sizeof(b), "d%d", i);
		need(mkdir(b, 0755) == 0, "mkdir");
		need(chmod(a, 0600) == 0, "chmod");
		need(truncate(a, 1) == 0, "truncate");
		snprintf(b, sizeof(b), "r%d", i);
		need(rename(a, b) == 0, "rename");
		snprintf(b, sizeof(b), "l%d", i);
		need(unlink(b) == 0, "unlink");
	}
}

static void inet(int n, int family, int *port)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr *address = family == AF_INET ? (void *)&v4 : (void *)&v6;
	socklen_t size = family == AF_INET ? sizeof(v4) : sizeof(v6), got = size;
	int server = socket(family, SOCK_STREAM, 0);

	need(bind(server, address, size) == 0 && listen(server, 64) == 0, "listen");
	need(getsockname(server, address, &got) == 0, "getsockname");
	*port = ntohs(family == AF_INET ? v4.sin_port : v6.sin6_port);
	for (int i = 0; i < n; i++) {
		int fd = socket(family, SOCK_STREAM, 0);
		need(connect(fd, address, size) == 0, "connect");
		int peer = accept(server, NULL, NULL);
		need(peer >= 0 && write(fd, "0123456789", 10) == 10, "send");
		char buffer[10];
		need(read(peer, buffer, 10) == 10, "receive");
		close(peer);
		close(fd);
	}
	close(server);
	for (int i = 0; i < n; i++) { /* nobody listens there any more */
		int fd = socket(family, SOCK_STREAM, 0);
		need(connect(fd, address, size) == -1 && errno == ECONNREFUSED, "refused");
		close(fd);
	}
}

int main(int argc, char **argv)
{
	need(argc == 3 && chdir(argv[1]) == 0, "usage: operations DIR N");
	int n = atoi(argv[2]), port4, port6;

	processes(n);
	files(n);
	inet(n, AF_INET, &port4);
	inet(n, AF_INET6, &port6);
	FILE *out = fopen("ports", "w");
	need(out != NULL, "ports");
	fprintf(out, "%d %d\n", port4, port6);
	fclose(out);
	return 0;
}
