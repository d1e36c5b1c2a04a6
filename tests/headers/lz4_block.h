/* An LZ4 block decoder with the signature of LZ4_decompress_safe_usingDict, so that the tests need
 * no lz4. Slow and strict. */

#ifndef LZ4_BLOCK_H
#define LZ4_BLOCK_H

#include <string.h>

/* Adds the bytes of a length that did not fit into its four bits. Returns 0 at the end of input. */
static int lz4_length(const unsigned char **in, const unsigned char *end, size_t *length)
{
    if (*length < 15)
        return 1;
    unsigned char byte;
    do {
        if (*in == end)
            return 0;
        byte = *(*in)++;
        *length += byte;
    } while (byte == 255);
    return 1;
}

static int lz4_block(const char *source, char *target, int source_size, int room,
                     const char *dictionary, int dictionary_size)
{
    const unsigned char *in = (const unsigned char *)source, *end = in + source_size;
    size_t out = 0, most = (size_t)room, history = (size_t)dictionary_size;
    if (history && dictionary + history != target)
        return -1; /* The header has it right before the target. */
    while (in < end) {
        const unsigned char token = *in++;
        size_t literals = token >> 4, match = token & 15;
        if (!lz4_length(&in, end, &literals) || literals > (size_t)(end - in) ||
            literals > most - out)
            return -1;
        if (literals)
            memcpy(target + out, in, literals);
        in += literals;
        out += literals;
        if (in == end)
            return (int)out;
        if (end - in < 2)
            return -1;
        const size_t distance = (size_t)in[0] | (size_t)in[1] << 8;
        in += 2;
        if (!lz4_length(&in, end, &match) || distance == 0 || distance > out + history ||
            match + 4 > most - out)
            return -1;
        for (size_t i = 0; i < match + 4; i++, out++)
            target[out] = *(target + out - distance);
    }
    return -1;
}

#endif
