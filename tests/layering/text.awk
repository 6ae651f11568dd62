# SPDX-License-Identifier: MIT
# Reads sources and headers; prints lines of code that hold text only others may write.

BEGIN { read_rules(rules); read_added(added) }

function code_of(line,    at, code) {
    code = ""
    while (line != "") {
        if (in_comment) {
            at = index(line, "*/")
            if (!at) return code
            line = substr(line, at + 2)
            in_comment = 0
        } else if (match(line, /\/[*\/]/)) {
            code = code substr(line, 1, RSTART - 1)
            if (substr(line, RSTART, 2) == "//") return code
            line = substr(line, RSTART + 2)
            in_comment = 1
        } else return code line
    }
    return code
}

FNR == 1 { in_comment = 0 }
{
    code = code_of($0)
    check_rules("source", FILENAME, code, "line " FNR ": " code)
}
