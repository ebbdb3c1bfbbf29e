#ifndef OCT_TESTS_GRAPH_CASE_H
#define OCT_TESTS_GRAPH_CASE_H

#include "graph/pass.h"
#include "graph/plan.h"
#include "ops/attr.h"

/* Small graphs with random weights in [-1, 1], and runs of them.  A failure ends the test. */
typedef struct net {
    oct_graph g;
    oct_arena arena;
} net;

void net_open(net *t);
void net_close(net *t);

oct_tensor *net_image(net *t, int n, int c, int h, int w);  /* input and layout node "input" */
oct_tensor *net_rows(net *t, int m, int k);                 /* a DENSE input */
oct_tensor *net_constant(net *t, int rank, const int *dim); /* F32 */

/* pad keeps the size for stride 1 (k odd); bias: 1 or 0 */
oct_tensor *net_conv(net *t, const char *name, oct_tensor *x, int out, int k, int stride,
                     int groups, int bias);
oct_tensor *net_linear(net *t, const char *name, oct_tensor *x, int out);
oct_tensor *net_bn(net *t, const char *name, oct_tensor *x);
oct_tensor *net_act(net *t, const char *name, oct_tensor *x, oct_act act);
oct_tensor *net_add(net *t, const char *name, oct_tensor *a, oct_tensor *b);
oct_tensor *net_flatten(net *t, const char *name, oct_tensor *x);
oct_tensor *net_maxpool(net *t, const char *name, oct_tensor *x, int k);
void net_output(net *t, oct_tensor *value);

const oct_node *net_node(const net *t, const char *name);   /* live; or NULL */
int net_pass(net *t, oct_pass_fn *pass);                    /* what it changed; then verified */

/* The plan for the best CPU, keep_values as given; and one pool of a single thread. */
oct_plan *net_plan(const net *t, int keep_values);
oct_pool *net_pool(void);
const oct_step *net_step(const oct_plan *p, const char *name); /* of that node */
/* Inputs are filled with numbers in [-1, 1] that depend on their size only, n samples are run, and
 * output 0 comes back: n rows, to be freed. */
float *net_run(const net *t, int n, int keep_values);
size_t net_run_size(const net *t, int n);                   /* floats of what net_run returns */

#endif
