/* Made by make_prune.py with torch 2.15.0+cu132; not to be edited. */
#ifndef OCT_TESTS_GOLDEN_PRUNE_H
#define OCT_TESTS_GOLDEN_PRUNE_H

static const int prune_shapes[4][3] = { /* out, in, taps */
    { 6, 5, 9 }, { 10, 7, 1 }, { 9, 1, 9 }, { 8, 12, 1 }
};

static const struct prune_golden {
    const char *weights, *structure;
    double amount;
    int first, n;                        /* layers */
    const char *keep;                    /* four weights a digit, the first highest */
} prune_goldens[] = {
    { "unique", "2:4", 0.5, 0, 1,
      "2ec1555f2ffd9534f5857fede84f9863ff60aeabd25ff2d6b88bb1ffef08e93b47fc" },
    { "unique", "2:4", 0.5, 1, 1,
      "5b9699daa6eb1b5b94" },
    { "unique", "2:4", 0.5, 2, 1,
      "ffffffffffffffffffff8" },
    { "unique", "2:4", 0.5, 3, 1,
      "6aa35553366aa5a369353cac" },
    { "unique", "unstructured", 0.0, 0, 4,
      "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
      "fffffffffffffffffffffffffffffffffffffffffffffffff8" },
    { "unique", "unstructured", 0.1, 0, 4,
      "fef3fddfe7fffff6ffeffffffe7ffdefedffeefffffffffffffbffffefedfdfbdeffffffef7fffff"
      "7ffffff77fffff7bf73ff5fb7f7dbffbffffdf3fbfffedff68" },
    { "unique", "unstructured", 0.25, 0, 4,
      "66c1fddc27fffd76f7cfdfedfa7fb8eee5eceefffecffaffbe9bbffccfece57bdcfd7f9fef7bffee"
      "657f5ff77efffd7bb70de5b35b15bbfaffffd73f9fffeded68" },
    { "unique", "unstructured", 0.5, 0, 4,
      "66415d4c26add576378757ede85d386ea564eeebd24db234b88ba5e4c548e57b5c79460e63289fae"
      "446a59b416d74d09340861115b151baadbbfd52d8b0ba86460" },
    { "unique", "unstructured", 0.7, 0, 4,
      "22001d4c0089d5743485150de05d182205608009824da214b88b85a4c500e033406000082228988c"
      "002a09340445440934082111031010aa99a3140d0801882460" },
    { "unique", "unstructured", 1.0, 0, 4,
      "00000000000000000000000000000000000000000000000000000000000000000000000000000000"
      "00000000000000000000000000000000000000000000000000" },
    { "unique", "unstructured", 0.3, 0, 1,
      "66c17ddc27fffd76f7c7dfedfa5d38eee5eceefffe4ffaffbc9bb7fccf6ce57b5cf8" },
    { "unique", "unstructured", 0.3, 1, 1,
      "5fe3d9cefffb995f94" },
    { "unique", "unstructured", 0.3, 2, 1,
      "df77ef7fd5bb70de5b358" },
    { "unique", "unstructured", 0.3, 3, 1,
      "62b77d5ff7fae7f3eb7d3dac" },
    { "unique", "unstructured", 0.5, 2, 1,
      "db736d75d0b340861b158" },
    { "unique", "1x4", 0.0, 0, 4,
      "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
      "fffffffffffffffffffffffffffffffffffffffffffffffff8" },
    { "unique", "1x4", 0.1, 0, 4,
      "f7fbfdfef7ffffffffffffffffffffffedffffffffffffffffffffffdfeff7fbfcffffffffffffff"
      "fffffff77ffffd7bb72ff5b37ffffffffffffffffffffffff8" },
    { "unique", "1x4", 0.25, 0, 4,
      "e773b9dce7efffffffffdffdfeff7fbee5ffffffffefbf7fbfdfeff4dfeff7fbfcfbff8ffe3ffffe"
      "03fffdb73ef77d4bb70c61b35f87fffffffffffffffff87ff8" },
    { "unique", "1x4", 0.5, 0, 4,
      "6231188c46aeff7fbfdfd7c5e2f178bea5f6fb7dbecdba3d1e8f47e4c1e0f0783c70000fe03ffffe"
      "003879b416d74d0934086111580007f87fff80078007f87878" },
    { "unique", "1x4", 0.7, 0, 4,
      "201008040288c86432191580201008060540a050280da028140a05e480c060301c7000000000780e"
      "0038093406d54c0934086111080000007fff80078007800000" },
    { "unique", "1x4", 1.0, 0, 4,
      "00000000000000000000000000000000000000000000000000000000000000000000000000000000"
      "00000000000000000000000000000000000000000000000000" },
    { "unique", "1x4", 0.3, 0, 1,
      "673399cce6eeff7fbfdfd7f5fafd7ebea5feff7fbfcdbb7dbedf6ff4d7ebf5fafc78" },
    { "unique", "1x4", 0.3, 1, 1,
      "0fe3ff8fffff800ffc" },
    { "unique", "1x4", 0.3, 2, 1,
      "df77ef7fd5bb70de5b358" },
    { "unique", "1x4", 0.3, 3, 1,
      "000ffffffffff0f0ffff0f0f" },
    { "unique", "1x4", 0.5, 2, 1,
      "db736d75d0b340861b158" },
    { "unique", "4x1", 0.0, 0, 4,
      "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
      "fffffffffffffffffffffffffffffffffffffffffffffffff8" },
    { "unique", "4x1", 0.1, 0, 4,
      "fffffffffffffffffffffffffffffffffffffffffffffafdbcbfffffd7ede5ffffffffffffffffff"
      "ff6edfffffffff6fb7dbedf35bffbffbffbffffffffffffff8" },
    { "unique", "4x1", 0.25, 0, 4,
      "b6e5fffdaefdb72fffed77edb97fff6bbf6dcbfffb5dfafdbc8feffed7ede47f7ff7cf9f3e6fdfbf"
      "7d6adbfdfeff7f2994ca65315bbfbbfbbfbbfffffffffffff8" },
    { "unique", "4x1", 0.5, 0, 4,
      "b6e15cf0a295b70ae78514adb8573c28a56dc2b9e14528bd9c8b2b8cc5ece4595c644081022ad5ab"
      "552a5b7dbedf6f28944a25115bbdbbdbbdbbd98c98c98c98c8" },
    { "unique", "4x1", 0.7, 0, 4,
      "b28054e022959402a70114aca0153808a56500a9c04528a41c8b218cc520e4590c6400000028d1a3"
      "452a582412090408040201014a112112112110840840840840" },
    { "unique", "4x1", 1.0, 0, 4,
      "00000000000000000000000000000000000000000000000000000000000000000000000000000000"
      "00000000000000000000000000000000000000000000000000" },
    { "unique", "4x1", 0.3, 0, 1,
      "b6e57ffda6fdb72bffed37edb95fff69bf6dcafffb4df8fdbc8f6faec7ede47b7d74" },
    { "unique", "4x1", 0.3, 1, 1,
      "f3e7cf9bf7efdf5ab4" },
    { "unique", "4x1", 0.3, 2, 1,
      "fffffffff69b4da6d3358" },
    { "unique", "4x1", 0.3, 3, 1,
      "77b77b77b77bf59f59f59f59" },
    { "unique", "4x1", 0.5, 2, 1,
      "b3d9ecf6728944a251158" },
    { "ties", "2:4", 0.5, 0, 1,
      "83765c03fff83244f3eeffe2401f63fffee15555a3bff85fc9fa04ff83367d037ffc" },
    { "ties", "2:4", 0.5, 1, 1,
      "566d9abacd95b3978c" },
    { "ties", "2:4", 0.5, 2, 1,
      "ffffffffffffffffffff8" },
    { "ties", "2:4", 0.5, 3, 1,
      "3c53369399a6635a66936365" },
    { "ties", "unstructured", 0.0, 0, 4,
      "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
      "fffffffffffffffffffffffffffffffffffffffffffffffff8" },
    { "ties", "unstructured", 0.1, 0, 4,
      "e37efcfbfdffffdfffefeaee58ff7fffeaffff5fffbfbfdffffad6f46f77ffffffff7bf7ffef77df"
      "feff3ffffffffffffffffffffffffffffffffffffffffffff8" },
    { "ties", "unstructured", 0.25, 0, 4,
      "e370dc007cef3a4cffefc8ec505f65ff80f95c5723879b5fedf204f04777ffffffff7bf7ffef77df"
      "feff3ffdefbefffefef7fffefffffbfdffdff7ffffffffbbf8" },
    { "ties", "unstructured", 0.5, 0, 4,
      "0130500048413244e22e80a0401a406380e1144723879b5fedf204f04377fd436ff779b67eeb0617"
      "fe5626bd6596fb7e06d3b75a63ff99f49ccd235efb35bf0b68" },
    { "ties", "unstructured", 0.7, 0, 4,
      "0130500048413244e22e80a0401a406380e114412380104ac1e200e0436431024af7402408400406"
      "c24406b4058639680692231221e68000188000125315bf0b68" },
    { "ties", "unstructured", 1.0, 0, 4,
      "00000000000000000000000000000000000000000000000000000000000000000000000000000000"
      "00000000000000000000000000000000000000000000000000" },
    { "ties", "unstructured", 0.3, 0, 1,
      "e370dc007cef3a4cffefc8ec505f65ff80f95f5fffbfbfdffffad6f46f77fffffffc" },
    { "ties", "unstructured", 0.3, 1, 1,
      "de6d9fbac197ffbfcc" },
    { "ties", "unstructured", 0.3, 2, 1,
      "6bd6596fb7e06d7fffef8" },
    { "ties", "unstructured", 0.3, 3, 1,
      "7ff33e9399a46bdf66fff77f" },
    { "ties", "unstructured", 0.5, 2, 1,
      "6b405863b7e06d3b75a60" },
    { "ties", "1x4", 0.0, 0, 4,
      "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
      "fffffffffffffffffffffffffffffffffffffffffffffffff8" },
    { "ties", "1x4", 0.1, 0, 4,
      "f3f9fcfe7dffffffffffeaffffffffffebfdfeff7fbfbffffffffff47fffffffffffffffffff87ff"
      "fffffffdefbefffefef7fffefffffffffffffffffffffffff8" },
    { "ties", "1x4", 0.25, 0, 4,
      "e3f1f8fc7cefffffffffc8edf6fb7dbf81fdfeff7fa79fdfeff7fbf07f7fbfdfeff7ffffffff870f"
      "ffff86bd6596fb7e06f7fffefffffffffffffffffffffffff8" },
    { "ties", "1x4", 0.5, 0, 4,
      "40201008084f3b9dcee748e010080403803c1e0f0787978bc5e2f1f04361b0d86ff7f8701fc0070f"
      "fc0006bd6596fb7e06d3b75a67ff80007800007fff87ff8078" },
    { "ties", "1x4", 0.7, 0, 4,
      "402010080841389c4e2700a01008040380180c0603001000000000e04361b0d86af7c0001e00000f"
      "e00006b4058639680692231227ff8000000000007f87ff8078" },
    { "ties", "1x4", 1.0, 0, 4,
      "00000000000000000000000000000000000000000000000000000000000000000000000000000000"
      "00000000000000000000000000000000000000000000000000" },
    { "ties", "1x4", 0.3, 0, 1,
      "e3f1f8fc7cefffffffffc8edf6fb7dbf81fdfeff7fa79fdfeff7fbf07f7fbfdfeff4" },
    { "ties", "1x4", 0.3, 1, 1,
      "fe1ffff001c3ffffe0" },
    { "ties", "1x4", 0.3, 2, 1,
      "6bd6596fb7e06d7fffef8" },
    { "ties", "1x4", 0.3, 3, 1,
      "fff00f0ff000fffffffff0ff" },
    { "ties", "1x4", 0.5, 2, 1,
      "6b405863b7e06d3b75a60" },
    { "ties", "4x1", 0.0, 0, 4,
      "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
      "fffffffffffffffffffffffffffffffffffffffffffffffff8" },
    { "ties", "4x1", 0.1, 0, 4,
      "f77bfdfdffdfbbdfefeffefddeff7f7ff7eef7fbfbffb96ffffafffecb7fffd7fff7ffffffffffff"
      "ffdfbffffffffffffffffffefdffdffdffdffffffffffffff8" },
    { "ties", "4x1", 0.25, 0, 4,
      "f36afdd5fd4f9b57eeafea7cdabf757f53e6d5fbabfa996efffa4dfecb77ffd26ff5dbb76eefdfbf"
      "7e54affffffffffffffffffa65ffdffdffdfffbffbffbffbf8" },
    { "ties", "4x1", 0.5, 0, 4,
      "21407d91dc090a03ec8ee048501f6477024280fb23b8184eefe244f442777f1227a15ab56ac3060c"
      "1a1426db6db6db5cae572b9a619e99e99e99edbfdbfdbfdbf8" },
    { "ties", "4x1", 0.7, 0, 4,
      "21000801c8010800400e400840020072004200100390084ec5a000f042762d0007811a3468c10204"
      "0a0402994ca6530c8643219a609e09e09e09e1b31b31b31b30" },
    { "ties", "4x1", 1.0, 0, 4,
      "00000000000000000000000000000000000000000000000000000000000000000000000000000000"
      "00000000000000000000000000000000000000000000000000" },
    { "ties", "4x1", 0.3, 0, 1,
      "e36afdd5fd4f1b57eeafea78dabf757f53c6d5fbabfa996efffa4dfecb77ffd26ff4" },
    { "ties", "4x1", 0.3, 1, 1,
      "76eddbbfffffff9528" },
    { "ties", "4x1", 0.3, 2, 1,
      "6db6db6dbfffffffffa60" },
    { "ties", "4x1", 0.3, 3, 1,
      "33d33d33d33db7fb7fb7fb7f" },
    { "ties", "4x1", 0.5, 2, 1,
      "2d96cb65b4ca653299a60" },
};

#endif
