/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* process.h: lineage (inherited at fork), exec, exit. */
#ifndef POLYGRAPH_PROCESS_H
#define POLYGRAPH_PROCESS_H

#include "core.h"

SEC("tp_btf/sched_process_fork")
int BPF_PROG(pg_on_fork, struct task_struct *parent, struct task_struct *child)
{
	struct pg_lineage *mine = pg_lineage_of(parent);
	struct pg_lineage *theirs;
	struct pg_session *session;
	struct pg_fork *record;

	if (!mine)
		return 0;
	session = pg_session_of(mine->session);
	/* Runs before the child can: copy_process() is done, wake_up_new_task() comes later. */
	theirs = bpf_task_storage_get(&lineage, child, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!theirs) {
		pg_lose(session, PG_DIM_PROCESS, PG_LOSS_STORAGE);
		return 0;
	}
	theirs->session = mine->session;
	if (BPF_CORE_READ(child, pid) != BPF_CORE_READ(child, tgid))
		return 0; /* a thread */
	if (session)
		__sync_fetch_and_add(&session->live, 1);
	record = bpf_ringbuf_reserve(&effects, sizeof(*record), 0);
	if (!record) {
		pg_lose(session, PG_DIM_PROCESS, PG_LOSS_RING);
		return 0;
	}
	pg_header(&record->hdr, parent, session, mine->session, PG_FORK, sizeof(*record));
	record->child_start = BPF_CORE_READ(child, start_boottime);
	record->child_pid = BPF_CORE_READ(child, tgid);
	record->_pad = 0;
	bpf_ringbuf_submit(record, 0);
	return 0;
}

#endif
