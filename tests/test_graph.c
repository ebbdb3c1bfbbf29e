/* graph/graph.c and dump.c: building, verifying, finding readers and writers, showing itself. */
#include <string.h>

#include "tests/graph_case.h"
#include "tests/suite.h"

static net t;

static void expect(oct_status got, oct_status want, const char *part)
{
    ck_assert_int_eq(got, want);
    ck_assert_msg(strstr(oct_last_error(), part) != NULL, "'%s' lacks '%s'", oct_last_error(),
                  part);
}

START_TEST(a_failure_names_the_node)
{
    net_open(&t);
    oct_tensor *x = net_image(&t, 1, 3, 8, 8), *out;
    const oct_conv2d_attr attr = { { 1, 1 }, { 0, 0 }, { 1, 1 }, 1, .act = OCT_ACT_NONE };
    oct_tensor *w = net_constant(&t, 4, (int[]){ 4, 5, 3, 3 });
    oct_tensor *in[OCT_MAX_IN] = { x, w };
    expect(oct_graph_add(&t.g, OCT_OP_CONV2D, "layer1.0.conv1", &attr, sizeof attr, in, &out),
           OCT_ERR_SHAPE, "layer1.0.conv1: conv2d: x has 3 channels, weight takes 5");
    ck_assert_int_eq(t.g.n_nodes, 1);
    net_close(&t);
}
END_TEST

START_TEST(the_list_of_nodes_grows)
{
    net_open(&t);
    oct_tensor *x = net_rows(&t, 2, 3);
    for (int i = 0; i < 1000; i++) {
        char name[16];
        snprintf(name, sizeof name, "relu%d", i);
        x = net_act(&t, name, x, OCT_ACT_RELU);
    }
    net_output(&t, x);
    ck_assert_int_eq(t.g.n_nodes, 1000);
    ck_assert_int_eq(oct_graph_verify(&t.g), OCT_OK);
    ck_assert_str_eq(t.g.node[999].name, "relu999");
    ck_assert_ptr_eq(oct_graph_writer(&t.g, x), &t.g.node[999]);
    net_close(&t);
}
END_TEST

START_TEST(verify_finds_what_is_wrong)
{
    net_open(&t);
    oct_tensor *x = net_image(&t, 1, 3, 8, 8);
    oct_tensor *a = net_conv(&t, "a", x, 4, 3, 1, 1, 1), *b = net_conv(&t, "b", a, 4, 3, 1, 1, 0);
    net_output(&t, b);
    ck_assert_int_eq(oct_graph_verify(&t.g), OCT_OK);

    t.g.node[1].args.in[0] = b; /* a reads what b writes later */
    expect(oct_graph_verify(&t.g), OCT_ERR_SHAPE, "a: operand 0 is not there");
    t.g.node[1].args.in[0] = x;
    a->dim[1] = 7;
    expect(oct_graph_verify(&t.g), OCT_ERR_SHAPE, "a: shape [1, 7, 8, 4], expected [1, 8, 8, 4]");
    a->dim[1] = 8;
    t.g.node[2].args.out = a; /* written twice */
    expect(oct_graph_verify(&t.g), OCT_ERR_SHAPE, "b: writes a value that is there already");
    t.g.node[2].args.out = b;
    t.g.node[2].dead = 1;
    expect(oct_graph_verify(&t.g), OCT_ERR_SHAPE, "output 0");
    t.g.node[2].dead = 0;
    t.g.node[1].dead = 1;
    expect(oct_graph_verify(&t.g), OCT_ERR_SHAPE, "b: operand 0");
    net_close(&t);
}
END_TEST

START_TEST(sole_user_counts_the_caller_and_every_operand)
{
    net_open(&t);
    oct_tensor *x = net_rows(&t, 1, 4), *a = net_act(&t, "a", x, OCT_ACT_RELU);
    oct_tensor *b = net_act(&t, "b", a, OCT_ACT_RELU), *twice = net_add(&t, "twice", b, b);
    oct_tensor *c = net_act(&t, "c", twice, OCT_ACT_RELU);
    net_output(&t, c);
    ck_assert_ptr_eq(oct_graph_sole_user(&t.g, a), net_node(&t, "b"));
    ck_assert_ptr_null(oct_graph_sole_user(&t.g, b));     /* one node, two operands */
    ck_assert_ptr_eq(oct_graph_sole_user(&t.g, twice), net_node(&t, "c"));
    ck_assert_ptr_null(oct_graph_sole_user(&t.g, c));     /* the caller */
    net_output(&t, twice);
    ck_assert_ptr_null(oct_graph_sole_user(&t.g, twice)); /* a node and the caller */
    ck_assert_ptr_null(oct_graph_writer(&t.g, x));
    net_close(&t);
}
END_TEST

START_TEST(bypass_redirects_every_reader)
{
    net_open(&t);
    oct_tensor *x = net_rows(&t, 1, 4), *a = net_act(&t, "a", x, OCT_ACT_RELU);
    oct_tensor *b = net_add(&t, "b", a, a);
    net_output(&t, a);
    net_output(&t, b);
    oct_graph_bypass(&t.g, &t.g.node[0], 0);
    ck_assert_ptr_eq(t.g.node[1].args.in[0], x);
    ck_assert_ptr_eq(t.g.node[1].args.in[1], x);
    ck_assert_ptr_eq(t.g.out[0], x);
    ck_assert(t.g.node[0].dead && t.g.out[1] == b);
    ck_assert_int_eq(oct_graph_verify(&t.g), OCT_OK);
    net_close(&t);
}
END_TEST

START_TEST(dump_is_one_line_a_node)
{
    net_open(&t);
    oct_tensor *x = net_image(&t, 2, 3, 9, 8), *a = net_conv(&t, "c1", x, 4, 3, 2, 1, 1);
    x = net_act(&t, "r", a, OCT_ACT_RELU);
    net_output(&t, net_linear(&t, "fc", net_flatten(&t, "f", net_maxpool(&t, "p", x, 2)), 5));
    ck_assert_int_eq(net_pass(&t, oct_pass_fuse), 2);

    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    oct_graph_dump(&t.g, to);
    fclose(to);
    ck_assert_str_eq(text,
        "input: layout [2, 3, 9, 8] -> [2, 9, 8, 3]\n"
        "c1: conv2d 3x3 s2 p1 +relu [2, 9, 8, 3] const[4, 3, 3, 3] const[4] -> [2, 5, 4, 4]\n"
        "r: relu [2, 5, 4, 4] -> [2, 5, 4, 4] (dead)\n"
        "p: maxpool 2x2 s2 [2, 5, 4, 4] -> [2, 2, 2, 4]\n"
        "f: flatten [2, 2, 2, 4] -> [2, 16] (dead)\n"
        "fc: linear [2, 2, 2, 4] const[5, 16] const[5] -> [2, 5]\n");
    free(text);
    char tiny[8];
    ck_assert_str_eq(oct_node_text(&t.g.node[1], tiny, sizeof tiny), "conv2d ");
    net_close(&t);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_failure_names_the_node, the_list_of_nodes_grows, verify_finds_what_is_wrong,
        sole_user_counts_the_caller_and_every_operand, bypass_redirects_every_reader,
        dump_is_one_line_a_node,
    };
    return suite_run("graph", tests, sizeof tests / sizeof *tests);
}
