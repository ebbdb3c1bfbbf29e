#ifndef OCT_WEIGHTS_SHA256_H
#define OCT_WEIGHTS_SHA256_H

#include <stddef.h>
#include <stdint.h>

/* SHA-256, FIPS 180-4, streaming. */
typedef struct oct_sha256 {
    uint32_t state[8];
    uint64_t length;       /* bytes so far */
    uint8_t block[64];
} oct_sha256;

void oct_sha256_init(oct_sha256 *s);
void oct_sha256_add(oct_sha256 *s, const void *data, size_t size);
void oct_sha256_hex(oct_sha256 *s, char hex[65]); /* lower case, terminated; ends s */

#endif
