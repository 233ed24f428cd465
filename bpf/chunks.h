/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * chunks.h: the bytes that one call moved, as a run of records in `plaintext`: a head, which the family fills, and up to
 * PG_TLS_CHUNK bytes. One that finds no room, or cannot be read, is counted, and leaves a hole in the offsets.
 */
#ifndef POLYGRAPH_CHUNKS_H
#define POLYGRAPH_CHUNKS_H

#include "core.h"

#define PG_CHUNKS (PG_TLS_CALL_MAX / PG_TLS_CHUNK + 1)

/* Fills the head of the record for `length` bytes from `at` on of what `copy` describes. */
typedef void (*pg_fill)(void *record, void *copy, __u32 at, __u32 length);

/* How user space is told of what `copy` describes: a flag of bpf_ringbuf_submit(). */
typedef __u64 (*pg_urgency)(void *copy);

PG_INLINE __u64 pg_not_urgent(void *copy)
{
	return BPF_RB_NO_WAKEUP;
}

/* One chunk, in a reservation of `room` bytes behind the head: sizes must be constants. */
PG_INLINE void pg_chunk(struct pg_session *session, __u64 buffer, void *copy, __u32 at, __u32 length, pg_fill fill,
			const __u32 head, const __u32 room, pg_urgency urgency)
{
	void *record = bpf_ringbuf_reserve(&plaintext, head + room, 0);

	if (!record) {
		pg_lose(session, PG_DIM_TLS, PG_LOSS_RING);
		return;
	}
	fill(record, copy, at, length);
	if (length > room || (room && bpf_probe_read_user(record + head, length, (void *)(buffer + at)))) {
		bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);
		pg_lose(session, PG_DIM_TLS, PG_LOSS_READ);
		return;
	}
	bpf_ringbuf_submit(record, pg_wake(urgency(copy)));
}

/*
 * Chunk `index` of the `total` bytes at `buffer`, in one of three sizes; 1 behind the last, for bpf_loop. Changes nothing
 * in `copy`: the verifier then sees one iteration and knows them all.
 */
PG_INLINE long pg_chunk_of(__u32 index, __u64 session, __u64 buffer, __u32 total, void *copy, pg_fill fill, const __u32 head,
			 pg_urgency urgency)
{
	struct pg_session *row = pg_session_of(session);
	__u32 at = index * PG_TLS_CHUNK, length;

	if (at >= total)
		return 1;
	length = total - at;
	if (length > PG_TLS_CHUNK)
		length = PG_TLS_CHUNK;
	/* One that is lost leaves a hole; the next one may find room again. */
	if (length <= 512)
		pg_chunk(row, buffer, copy, at, length, fill, head, 512, urgency);
	else if (length <= 4096)
		pg_chunk(row, buffer, copy, at, length, fill, head, 4096, urgency);
	else
		pg_chunk(row, buffer, copy, at, length, fill, head, PG_TLS_CHUNK, urgency);
	return 0;
}

#endif
