/* b_load_part and b_store_part of vec_u8_tmpl.h where vectors have no masks: through a copy.  The
 * includer has bytes, B, b_load and b_store. */
static inline bytes b_load_part(const uint8_t *p, int n)
{
    uint8_t copy[B] = { 0 };
    memcpy(copy, p, (size_t)n);
    return b_load(copy);
}

static inline void b_store_part(uint8_t *p, bytes v, int n)
{
    uint8_t copy[B];
    b_store(copy, v);
    memcpy(p, copy, (size_t)n);
}
