# SPDX-License-Identifier: MIT
# Reads `nm -A -P -g` of the objects; prints who breaks the rules for symbols.

BEGIN { read_map(map); read_rules(rules); read_added(added) }

function plain(symbol) {
    if (symbol ~ /^__.*_chk$/) {
        sub(/^__/, "", symbol)
        sub(/_chk$/, "", symbol)
    }
    sub(/^__isoc(99|23)_/, "", symbol)
    sub(/64$/, "", symbol)
    return symbol
}

{ # FILE: SYMBOL TYPE ...
    path = $1
    sub(/:$/, "", path)
    if ($3 ~ /^[Uw]$/) {
        needs[path] = needs[path] " " $2
        undefined_count++
    } else {
        definers[$2] = definers[$2] " " path
        defined_count++
    }
}

# A symbol of another module has to come from a module this one declares.
function check_depends(path, symbol,    list, count, i, from, home) {
    home = module_of[path]
    count = split(definers[symbol], list, " ")
    for (i = 1; i <= count; i++) {
        from = module_of[list[i]]
        if (from == home || index(depends[home], " " from " ") ||
            (home in port && index(port[home], "," from ",")))
            return
    }
    violation("depends", path, "uses " symbol " of " from ", which " home " does not declare")
}

function tells_time(path,    i) {
    for (i = 1; i <= rule_count; i++)
        if (rule_kind[i] == "source" && rule_name[i] == "clock" && owns(rule_owners[i], path))
            return 1
    return 0
}

# Everything reachable from a pure object, at the grain of whole objects. Objects that may tell the time
# without a call are as bad as those that call for it. Other pure objects answer for themselves.
function check_pure(start, allowed,    queue, head, tail, list, count, i, j, k, from, symbols, seen) {
    queue[tail++] = start
    seen[start] = 1
    while (head < tail) {
        from = queue[head++]
        count = split(needs[from], symbols, " ")
        for (i = 1; i <= count; i++) {
            if (plain(symbols[i]) ~ ("^(" allowed ")$"))
                continue
            if (!(symbols[i] in definers)) {
                violation("pure", start, "reaches " symbols[i] \
                    (from == start ? "" : " through " module_of[from] "/" name_of[from]))
                continue
            }
            k = split(definers[symbols[i]], list, " ")
            for (j = 1; j <= k; j++)
                if (tells_time(list[j])) {
                    violation("pure", start, "reaches " symbols[i] " of " name_of[list[j]])
                } else if (!(list[j] in seen) && !(module_of[list[j]] in pure)) {
                    seen[list[j]] = 1
                    queue[tail++] = list[j]
                }
        }
    }
}

END {
    if (defined_count == 0 || undefined_count == 0) {
        print "symbols: nm found nothing to check"
        exit
    }
    for (path in needs) {
        count = split(needs[path], symbols, " ")
        for (i = 1; i <= count; i++)
            if (symbols[i] in definers) check_depends(path, symbols[i])
            else check_rules("only", path, plain(symbols[i]), "uses " symbols[i])
        if (module_of[path] in pure)
            check_pure(path, pure[module_of[path]])
    }
}
