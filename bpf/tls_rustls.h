/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * tls_rustls.h: plaintext inside programs that have rustls 0.23 built in.
 *
 * Writes are taken in by CommonState::buffer_plaintext(self, OutboundChunks, …), which may take less than it was given
 * and says how much when it returns. Reads are handed on, a record at a time and whole, by
 * CommonState::take_received_plaintext(self, Payload). Both arguments lie in memory behind %rsi:
 *
 *   OutboundChunks  Single    { 0, address, length }
 *                   Multiple  { address of (address, length) pairs, their number, first byte, end }
 *   Payload         { capacity, or 1 << 63 where the bytes are borrowed; address; length }
 *
 * Rust promises no layout, so what is read is held against what such values can be; what cannot be is counted as lost.
 * Where a connection ends is not told here: collector/tls/rustls.py finds it in what is said.
 */
#ifndef POLYGRAPH_TLS_RUSTLS_H
#define POLYGRAPH_TLS_RUSTLS_H

#include "tls.h"

#define PG_RUSTLS_RECORD_MAX 16384 /* RFC 8446, section 5.1 */
#define PG_RUSTLS_BORROWED (1ull << 63)
#define PG_RUSTLS_PIECES 256 /* slices of one write that are followed; what lies in later ones is a hole */
#define PG_RUSTLS_WRITE_MAX (1ull << 32)
#define PG_USER_END (1ull << 47)

PG_INLINE int pg_rustls_implausible(struct pg_lineage *mine)
{
	mine->tls_ssl = 0;
	pg_lose(pg_session_of(mine->session), PG_DIM_TLS, PG_LOSS_READ);
	return 0;
}

SEC("uprobe")
int PG_UPROBE(pg_on_rustls_write, __u64 self, __u64 chunks)
{
	struct pg_lineage *mine = pg_current();
	__u64 word[4];
	__u64 length;

	if (!mine)
		return 0;
	if (!self || bpf_probe_read_user(word, sizeof(word), (void *)chunks))
		return pg_rustls_implausible(mine);
	if (word[0]) {
		length = word[3] - word[2];
		if (word[0] >= PG_USER_END || !word[1] || word[3] < word[2])
			return pg_rustls_implausible(mine);
		mine->tls_buffer = word[0];
		mine->tls_pieces = word[1];
		mine->tls_skip = word[2];
	} else {
		length = word[2];
		mine->tls_buffer = word[1];
		mine->tls_pieces = mine->tls_skip = 0;
	}
	if (length > PG_RUSTLS_WRITE_MAX || (length && mine->tls_buffer >= PG_USER_END))
		return pg_rustls_implausible(mine);
	mine->tls_ssl = self;
	mine->tls_moved = length;
	mine->tls_direction = PG_TLS_SENT;
	return 0;
}

/*
 * One slice. What is left is kept with the thread (tls_moved, tls_skip): of numbers from a map the verifier
 * remembers nothing, so it needs to look at few iterations.
 */
static long pg_rustls_piece(__u32 index, struct pg_tls_copy *copy)
{
	struct pg_lineage *mine = pg_current();
	struct {
		__u64 at;
		__u64 length;
	} piece;

	if (!mine || index >= mine->tls_pieces || !mine->tls_moved)
		return 1;
	if (bpf_probe_read_user(&piece, sizeof(piece), (void *)(mine->tls_buffer + index * sizeof(piece))))
		return 1;
	if (mine->tls_skip >= piece.length) {
		mine->tls_skip -= piece.length;
		return 0;
	}
	piece.at += mine->tls_skip;
	piece.length -= mine->tls_skip;
	mine->tls_skip = 0;
	if (piece.length > mine->tls_moved)
		piece.length = mine->tls_moved;
	mine->tls_moved -= piece.length;
	copy->buffer = piece.at;
	pg_tls_tell(copy, piece.length);
	return 0;
}

SEC("uretprobe")
int PG_URETPROBE(pg_on_rustls_written, __u64 taken)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_lineage *mine = pg_lineage_of(task);
	struct pg_tls_copy copy = {.direction = PG_TLS_SENT};

	if (!mine || !mine->tls_ssl)
		return 0;
	if (taken > mine->tls_moved)
		return pg_rustls_implausible(mine);
	copy.library = bpf_get_attach_cookie(ctx);
	copy.key = pg_tls_key_of(task, mine->tls_ssl);
	copy.session = mine->session;
	copy.buffer = mine->tls_buffer;
	mine->tls_ssl = 0;
	if (!taken)
		return 0;
	if (!mine->tls_pieces)
		return pg_tls_tell(&copy, taken);
	mine->tls_moved = taken;
	bpf_loop(PG_RUSTLS_PIECES, pg_rustls_piece, &copy, 0);
	copy.buffer = 0;
	if (mine->tls_moved)
		pg_tls_tell(&copy, mine->tls_moved);
	return 0;
}

SEC("uprobe")
int PG_UPROBE(pg_on_rustls_read, __u64 self, __u64 payload)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_lineage *mine = pg_lineage_of(task);
	struct pg_tls_copy copy = {.direction = PG_TLS_RECEIVED};
	struct {
		__u64 capacity;
		__u64 at;
		__u64 length;
	} bytes;

	if (!mine)
		return 0;
	if (!self || bpf_probe_read_user(&bytes, sizeof(bytes), (void *)payload) ||
	    bytes.length > PG_RUSTLS_RECORD_MAX || (bytes.length && bytes.at >= PG_USER_END) ||
	    (bytes.capacity != PG_RUSTLS_BORROWED && bytes.capacity < bytes.length))
		return pg_rustls_implausible(mine);
	if (!bytes.length)
		return 0;
	copy.library = bpf_get_attach_cookie(ctx);
	copy.key = pg_tls_key_of(task, self);
	copy.session = mine->session;
	copy.buffer = bytes.at;
	return pg_tls_tell(&copy, bytes.length);
}

#endif
