/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * floor.bpf.c: programs that do nothing, for the hooks that polygraph's sit on (bench/_floor.py attaches them): what
 * is left of the cost of being observed when nothing is observed.
 */
#define SEC(name) __attribute__((section(name), used))

SEC("tp")
int floor_tp(void *ctx)
{
	return 0;
}

SEC("tp")
int floor_tp_again(void *ctx)
{
	return 0;
}

SEC("tp")
int floor_tp_third(void *ctx)
{
	return 0;
}

SEC("tp_btf/sched_switch")
int floor_switch(void *ctx)
{
	return 0;
}

SEC("tp_btf/sched_waking")
int floor_waking(void *ctx)
{
	return 0;
}

SEC("tp_btf/sched_process_fork")
int floor_fork(void *ctx)
{
	return 0;
}

SEC("tp_btf/sched_process_exec")
int floor_exec(void *ctx)
{
	return 0;
}

SEC("tp_btf/sched_process_exit")
int floor_exit(void *ctx)
{
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int floor_socket_state(void *ctx)
{
	return 0;
}

SEC("raw_tp/mm_filemap_get_pages")
int floor_pages(void *ctx)
{
	return 0;
}

SEC("raw_tp/sock_send_length")
int floor_plain_sent(void *ctx)
{
	return 0;
}

SEC("raw_tp/sock_recv_length")
int floor_plain_received(void *ctx)
{
	return 0;
}

SEC("tp_btf/sched_process_exec")
int floor_plain_exec(void *ctx)
{
	return 0;
}

SEC("uprobe")
int floor_entry(void *ctx)
{
	return 0;
}

SEC("uretprobe")
int floor_return(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
