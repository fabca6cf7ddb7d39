/* SPDX-License-Identifier: MIT */
/*
 * json_schema.h - checks JSON against the schemas in doc/
 *
 * Knows the words that those schemas use, and fails on any other one.
 *
 * Threads:  none.
 * Signals:  none.
 * Memory:   none of its own.
 * Trust:    none; for tests.
 * Units:    none.
 * Errors:   a difference fails the test and says where it is.
 */
#ifndef SEEP_TESTS_JSON_SCHEMA_H
#define SEEP_TESTS_JSON_SCHEMA_H

#include <check.h>
#include <jansson.h>
#include <regex.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline bool schema_type_is(const json_t *j, const char *type)
{
	if (!strcmp(type, "object"))
		return json_is_object(j);
	if (!strcmp(type, "array"))
		return json_is_array(j);
	if (!strcmp(type, "string"))
		return json_is_string(j);
	if (!strcmp(type, "integer"))
		return json_is_integer(j);
	if (!strcmp(type, "boolean"))
		return json_is_boolean(j);
	ck_assert_str_eq(type, "null");
	return json_is_null(j);
}

static inline bool schema_has_type(const json_t *j, json_t *type)
{
	json_t *one;
	size_t i;

	if (json_is_string(type))
		return schema_type_is(j, json_string_value(type));
	json_array_foreach(type, i, one)
	{
		if (schema_type_is(j, json_string_value(one)))
			return true;
	}
	return false;
}

static inline bool schema_matches(const char *text, const char *pattern)
{
	regex_t re;
	bool ok;

	ck_assert_int_eq(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
	ok = !regexec(&re, text, 0, NULL, 0);
	regfree(&re);
	return ok;
}

static bool schema_check(
    json_t *root, json_t *schema, json_t *j, char *where, size_t size);

/* One word of a schema. */
static inline bool schema_word(json_t *root, json_t *schema, const char *word,
    json_t *value, json_t *j, char *where, size_t size)
{
	size_t i, len = strlen(where), good = 0;
	const char *key;
	json_t *one;

	if (word[0] == '$' && strcmp(word, "$ref"))
		return true;
	if (!strcmp(word, "title") || !strcmp(word, "description") ||
	    !strcmp(word, "definitions"))
		return true;
	if (!strcmp(word, "$ref")) {
		const char *name = strrchr(json_string_value(value), '/') + 1;
		json_t *to =
		    json_object_get(json_object_get(root, "definitions"), name);

		ck_assert_msg(to != NULL, "no definition of %s", name);
		return schema_check(root, to, j, where, size);
	}
	if (!strcmp(word, "type"))
		return schema_has_type(j, value);
	if (!strcmp(word, "const"))
		return json_equal(value, j);
	if (!strcmp(word, "enum")) {
		json_array_foreach(value, i, one) good += json_equal(one, j);
		return good == 1;
	}
	if (!strcmp(word, "oneOf")) {
		json_array_foreach(value, i, one)
		{
			good += schema_check(root, one, j, where, size);
			where[len] = '\0';
		}
		return good == 1;
	}
	if (!strcmp(word, "minimum"))
		return !json_is_integer(j) ||
		       json_integer_value(j) >= json_integer_value(value);
	if (!strcmp(word, "maximum"))
		return !json_is_integer(j) ||
		       json_integer_value(j) <= json_integer_value(value);
	if (!strcmp(word, "pattern"))
		return schema_matches(
		    json_string_value(j), json_string_value(value));
	if (!strcmp(word, "required")) {
		json_array_foreach(value, i, one)
		{
			if (!json_is_object(j) ||
			    json_object_get(j, json_string_value(one)))
				continue;
			snprintf(where + len, size - len, ".%s is missing",
			    json_string_value(one));
			return false;
		}
		return true;
	}
	if (!strcmp(word, "items")) {
		json_array_foreach(j, i, one)
		{
			snprintf(where + len, size - len, "[%zu]", i);
			if (!schema_check(root, value, one, where, size))
				return false;
		}
		where[len] = '\0';
		return true;
	}
	ck_assert_msg(!strcmp(word, "properties") ||
			  !strcmp(word, "additionalProperties"),
	    "the test does not know '%s'", word);
	json_object_foreach(j, key, one)
	{
		json_t *named =
		    json_object_get(json_object_get(schema, "properties"), key);

		if (!strcmp(word, "properties") ? !named : named != NULL)
			continue;
		snprintf(where + len, size - len, ".%s", key);
		if (!schema_check(
			root, named ? named : value, one, where, size))
			return false;
	}
	where[len] = '\0';
	return true;
}

static bool schema_check(
    json_t *root, json_t *schema, json_t *j, char *where, size_t size)
{
	const char *word;
	json_t *value;

	json_object_foreach(schema, word, value)
	{
		if (!schema_word(root, schema, word, value, j, where, size))
			return false;
	}
	return true;
}

/* The text is JSON as doc/NAME.schema.json says; the caller decrefs. */
static inline json_t *schema_parse(const char *name, const char *text)
{
	const char *top = getenv("abs_top_srcdir");
	char path[512], where[512] = "";
	json_error_t error;
	json_t *schema, *j;

	snprintf(
	    path, sizeof(path), "%s/doc/%s.schema.json", top ? top : ".", name);
	schema = json_load_file(path, 0, &error);
	ck_assert_msg(schema != NULL, "%s: %s", path, error.text);
	j = json_loads(text, 0, &error);
	ck_assert_msg(j != NULL, "%s in: %s", error.text, text);
	ck_assert_msg(schema_check(schema, schema, j, where, sizeof(where)),
	    "%s: not as the schema says at '%s' in %s", name, where, text);
	json_decref(schema);
	return j;
}

#endif
