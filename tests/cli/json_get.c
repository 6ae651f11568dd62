/* SPDX-License-Identifier: MIT */

/*
 * json_get PATH: reads one JSON document from stdin, refuses anything before or after it, and
 * prints the value at PATH ("faults/0/node"; "" is the document), compact. Exit 1: not JSON, or
 * nothing there.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int count, char **arguments)
{
    json_error_t error;
    json_t *document = json_loadf(stdin, JSON_REJECT_DUPLICATES, &error);
    if (document == NULL || count != 2) {
        (void)fprintf(stderr, "json_get: line %d: %s\n", error.line, error.text);
        return EXIT_FAILURE;
    }
    const json_t *value = document;
    char *rest = arguments[1];
    for (const char *part = strsep(&rest, "/"); part != NULL && *part != '\0';
         part = strsep(&rest, "/")) {
        value = json_is_array(value) ? json_array_get(value, strtoul(part, NULL, 10))
                                     : json_object_get(value, part);
    }
    int result = value == NULL ? EXIT_FAILURE : EXIT_SUCCESS;
    if (value != NULL) {
        (void)json_dumpf(value, stdout, JSON_ENCODE_ANY | JSON_COMPACT);
        (void)putchar('\n');
    }
    json_decref(document);
    return result;
}
