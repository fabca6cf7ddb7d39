/* SPDX-License-Identifier: MIT */
/* test_sym_demangle.c - mangled names become readable, hostile ones no harm */
#include "tests/unit/sym_fixture.h"

static const struct {
	const char *mangled, *readable; /* NULL: as it is */
} names[] = {
    {"main", NULL},
    {"", NULL},
    {"_", NULL},
    {"_Z", NULL},
    {"_start", NULL},
    {"_ZN3foo3barEi", "foo::bar"},
    {"_ZN3foo3barEi@@V_2", "foo::bar"},
    {"_ZN3foo3barEi.llvm.1234567", "foo::bar"},
    {"_ZN3foo3barEi.constprop.0", "foo::bar"},
    {"_ZNK1aplERKS_", "a::operator+"},
    {"_ZN12_GLOBAL__N_11fEv", "(anonymous namespace)::f"},
    {"_ZSt4moveIRSt6vectorIiSaIiEEEONSt16remove_referenceIT_E4typeEOS5_",
	"std::move<std::vector<int, std::allocator<int> >&>"},
    {"_ZNSt6vectorINSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"
     "SaIS5_EE9push_backERKS5_",
	"std::vector<std::string, std::allocator<std::string> >::"
	"push_back"},
    {"_ZN4core3fmt9Formatter3pad17h0123456789abcdefE",
	"core::fmt::Formatter::pad"},
    {"_RNvNtCs1234_7mycrate3foo3bar", "mycrate::foo::bar"},
    {"_D3std5stdio7writelnFZv", "std.stdio.writeln()"},
    {"_Dmain", "D main"},
};

START_TEST(a_mangled_name_becomes_the_name_in_the_source)
{
	char *readable = seep_sym_demangle(names[_i].mangled);

	if (!names[_i].readable) {
		ck_assert_ptr_null(readable);
	} else {
		ck_assert_ptr_nonnull(readable);
		ck_assert_str_eq(readable, names[_i].readable);
	}
	free(readable);
}
END_TEST

/* Each pair of template arguments is twice the one before. */
START_TEST(a_name_that_would_be_gigabytes_is_cut)
{
	char name[4096] = "_Z1fI";
	size_t n = strlen(name);
	char *readable;

	n += (size_t)sprintf(name + n, "1aIiiE");
	for (int i = 0; i < 40; i++)
		n += (size_t)sprintf(name + n, "1aIS%.*s_S%.*s_E", i ? 1 : 0,
		    &"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[i - 1 < 0
								? 0
								: (i - 1) % 36],
		    i ? 1 : 0,
		    &"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			[i - 1 < 0 ? 0 : (i - 1) % 36]);
	strcpy(name + n, "Evv");
	readable = seep_sym_demangle(name);
	if (readable)
		ck_assert_uint_le(strlen(readable), 20000);
	free(readable);
}
END_TEST

static char *repeat(
    const char *head, const char *part, size_t nr, const char *tail)
{
	size_t h = strlen(head), p = strlen(part);
	char *name = malloc(h + nr * p + strlen(tail) + 1);

	strcpy(name, head);
	for (size_t i = 0; i < nr; i++)
		memcpy(name + h + i * p, part, p);
	strcpy(name + h + nr * p, tail);
	return name;
}

START_TEST(deep_and_long_names_are_no_harm)
{
	static const char *const parts[][3] = {
	    {"_Z1f", "P", "i"},
	    {"_Z1f", "1aI", "i"},
	    {"_ZN", "1a", "Ev"},
	    {"_Z1fIX", "sr", "E"},
	    {"_R", "NvC", "1a"},
	    {"_RI", "INvC1a1b", "E"},
	    {"_RMC0", "RRRR", "u"},
	    {"_D", "1a", "FZv"},
	    {"_D1a", "FP", "Zv"},
	    {"_D1aF", "Hi", "Zv"},
	    {"_Z1fDp", "Dp", "T_"},
	    {"_ZZ", "Z1fv", "Ev"},
	    {"_GLOBAL__I_", "_Z1fP", "i"},
	};

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		for (size_t nr = 1; nr < 20000; nr *= 3) {
			char *name =
			    repeat(parts[i][0], parts[i][1], nr, parts[i][2]);

			free(seep_sym_demangle(name));
			free(name);
		}
}
END_TEST

START_TEST(random_names_are_no_harm)
{
	static const char letters[] =
	    "_ZNRSTIJEPKODCLXabijlmvzDpdtTnsrcl0123456789.$@hQF";
	uint32_t seed = 12345;

	for (int i = 0; i < 60000; i++) {
		char name[160];
		size_t from = (size_t)_i * 4, n;
		const char *head = &"_Z\0\0_ZN\0_R\0\0_D\0\0_Z1f"[from];

		strcpy(name, head);
		n = strlen(name);
		for (; n < sizeof(name) - 1; n++) {
			seed = seed * 1103515245 + 12345;
			if (seed >> 16 < 1000)
				break;
			name[n] = letters[(seed >> 16) % (sizeof(letters) - 1)];
		}
		name[n] = '\0';
		free(seep_sym_demangle(name));
	}
}
END_TEST

/* Real names with a change are more dangerous than noise. */
START_TEST(damaged_names_are_no_harm)
{
	uint32_t seed = 99;

	for (int i = 0; i < 60000; i++) {
		size_t which =
		    5 + (size_t)i % (sizeof(names) / sizeof(*names) - 5);
		char name[512];
		size_t n;

		strcpy(name, names[which].mangled);
		n = strlen(name);
		for (int k = 0; k < 3; k++) {
			size_t at;

			seed = seed * 1103515245 + 12345;
			at = 2 + (seed >> 16) % (n - 2);
			seed = seed * 1103515245 + 12345;
			name[at] =
			    names[which].mangled[2 + (seed >> 16) % (n - 2)];
		}
		free(seep_sym_demangle(name));
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sym_demangle");
	TCase *tc = tcase_create("demangle");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, a_mangled_name_becomes_the_name_in_the_source,
	    0, sizeof(names) / sizeof(names[0]));
	tcase_add_test(tc, a_name_that_would_be_gigabytes_is_cut);
	tcase_add_test(tc, deep_and_long_names_are_no_harm);
	tcase_add_loop_test(tc, random_names_are_no_harm, 0, 5);
	tcase_add_test(tc, damaged_names_are_no_harm);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
