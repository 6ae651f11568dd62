# SPDX-License-Identifier: MIT
# The shared head of the checks: the house map, the rules, and names of files within modules.

function base_name(path) {
    sub(/^.*\//, "", path)
    sub(/(\.[ch])?(\.o)?$/, "", path)
    return path
}
function add_file(module, path) {
    module_of[path] = module
    name_of[path] = base_name(path)
}
function owns(owners, path,    list, count, i) {
    count = split(owners, list, ",")
    for (i = 1; i <= count; i++)
        if (list[i] == module_of[path] || list[i] == module_of[path] "/" name_of[path])
            return 1
    return 0
}
function violation(rule, path, text,    line) {
    line = rule ": " module_of[path] "/" name_of[path] ": " text
    if (!(line in reported))
        print line
    reported[line] = 1
}
# A rule's lines add up: its patterns, and for what they match, its owners.
function check_rules(kind, path, subject, text,    i, rule, matched, allowed) {
    for (i = 1; i <= rule_count; i++)
        if (rule_kind[i] == kind && subject ~ rule_pattern[i]) {
            matched[rule_name[i]] = 1
            if (owns(rule_owners[i], path)) allowed[rule_name[i]] = 1
        }
    for (rule in matched)
        if (!(rule in allowed)) violation(rule, path, text)
}
function rest(first,    i, text) {
    for (i = first; i <= NF; i++)
        text = text (i > first ? " " : "") $i
    return text
}
function read_map(file) {
    while ((getline < file) > 0) {
        if ($1 == "module") module = $2
        else if ($1 == "depends") depends[module] = " " rest(2) " "
        else if ($1 == "objects") for (i = 2; i <= NF; i++) add_file(module, $i)
    }
    close(file)
}
function read_rules(file) {
    while ((getline < file) > 0) {
        if ($1 == "only" || $1 == "source") {
            rule_kind[++rule_count] = $1
            rule_name[rule_count] = $2
            rule_owners[rule_count] = $3
            rule_pattern[rule_count] = $1 == "only" ? "^(" rest(4) ")$" : rest(4)
        } else if ($1 == "pure") pure[$2] = rest(3)
        else if ($1 == "port") port[$2] = "," $3 ","
        else if (NF > 0 && $1 !~ /^#/) { print "rules: " $0; exit 2 }
    }
    close(file)
}
function read_added(words,    list, count, i, at) {
    count = split(words, list, " ")
    for (i = 1; i <= count; i++) {
        at = index(list[i], "=")
        add_file(substr(list[i], 1, at - 1), substr(list[i], at + 1))
    }
}
