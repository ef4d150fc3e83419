# Filters of jq that jaq lacks or defines differently.

def getpath($path): if $path | type == "array" and length > 10000 then error("Path too deep")
  else reduce $path[] as $step (.; .[$step]) end;
def values: select(. != null);
def nulls: select(. == null);
def booleans: select(type == "boolean");
def numbers: select(type == "number");
def strings: select(type == "string");
def arrays: select(type == "array");
def objects: select(type == "object");
def iterables: select(type | . == "array" or . == "object");
def scalars: select(type | . != "array" and . != "object");
def isvalid(f): try (f | true) catch false;
def abs: if type == "number" and . < 0 then - . else . end;
def toarray: if type == "array" then . else [.] end;
def finites: select(isinfinite or isnan | not);
def normals: select(isnormal);
def add(f): reduce f as $x (null; . + $x);
def in(xs): . as $x | xs | has($x);
def inside(xs): . as $x | xs | contains($x);
def index($i): indices($i)[0];
def rindex($i): indices($i)[-1:][0];
def @json: tojson;
def @text: tostring;
def with_entries(f): to_entries | map(f) | from_entries;
def del(f): delpaths([path(f)]);
def paths: path(..) | select(length > 0);
def paths(f): path(.. | select(f)) | select(length > 0);
def leaf_paths: paths(scalars);
def pick(f): . as $top | reduce path(f) as $p (null; setpath($p; $top | getpath($p)));
def tostream: path(def r: (.[]?|r), .; r) as $p | getpath($p) |
  reduce path(.[]?) as $q ([$p, .]; [$p + $q]);
def fromstream(f): {x: null, e: false} as $init
  | foreach f as $i ($init;
      if .e then $init else . end
      | if $i | length == 2
        then setpath(["e"]; $i[0] | length == 0) | setpath(["x"] + $i[0]; $i[1])
        else setpath(["e"]; $i[0] | length == 1) end;
      if .e then .x else empty end);
def truncate_stream(stream): . as $n | null | stream
  | . as $input | if (.[0] | length) > $n then setpath([0]; .[0][$n:]) else empty end;
def combinations: if length == 0 then [] else
  reduce .[] as $choices ([[]]; [.[] as $head | $choices[] as $x | $head + [$x]]) | .[] end;
def combinations($n): . as $dot | [range($n)] | map($dot) | combinations;
def ascii: [.] | implode;
def todate: strftime("%Y-%m-%dT%H:%M:%SZ");
def todateiso8601: strftime("%Y-%m-%dT%H:%M:%SZ");
def fromdate: fromdateiso8601;
def date: todate;
def dateadd(u; $n): . + $n;
def datesub(u; $n): . - $n;
def INDEX(stream; f): reduce stream as $row ({}; .[$row | f | tostring] |= $row);
def INDEX(f): INDEX(.[]; f);
def GROUP_BY(f): group_by(f);
def UNIQUE_BY(f): unique_by(f);
def IN(s): any(s == .; .);
def IN(src; s): any(src == s; .);
def ascii(f): f | ascii;
def get_search_list: [];
def input_line_number: 0;
def isempty(g): label $go | (g | false, break $go), true;
def any(generator; condition): isempty(first(generator | condition | select(.))) | not;
def all(generator; condition): isempty(first(generator | condition | select(. | not)));
def any(f): any(.[]; f);
def all(f): all(.[]; f);
def any: any(.[]; .);
def all: all(.[]; .);
def flatten: _flatten(1e9);
def flatten($depth): if $depth < 0 then error("flatten depth must not be negative") else _flatten($depth) end;
def match($re; $flags): _matches($re; $flags)[];
def match($val): ($val | type) as $t
  | if $t == "array" then match($val[0]; if $val | length > 1 then $val[1] else null end) else match($val; null) end;
def test($re; $flags): _test($re; $flags);
def test($val): ($val | type) as $t
  | if $t == "array" then test($val[0]; if $val | length > 1 then $val[1] else null end) else test($val; null) end;
def capture($re; $flags): match($re; $flags) | _capture;
def capture($val): match($val) | _capture;
def scan($re; $flags): match($re; "g" + $flags)
  | if (.captures | length) > 0 then [.captures | .[] | .string] else .string end;
def scan($re): scan($re; null);
def splits($re; $flags): _split($re; "g" + $flags)[];
def splits($re): splits($re; null);
def split($re; $flags): _split($re; "g" + $flags);
def sub($re; str; $flags): [match($re; $flags) | [.offset, .offset + .length, [_capture | str]]] as $found
  | ([$found[] | .[2] | length] | max // 0) as $results
  | if $results == 0 then . else range($results) as $i
    | _replace([$found[] | select(.[2] | length > $i) | [.[0], .[1], .[2][$i]]]) end;
def sub($re; str): sub($re; str; null);
def gsub($re; str; $flags): sub($re; str; $flags + "g");
def gsub($re; str): sub($re; str; "g");
def trimstr($x): ltrimstr($x) | rtrimstr($x);
def have_literal_numbers: true;
def have_decnum: false;
def @csv: if type == "array" then [.[] | _csv] | join(",") else error("\(type) cannot be written as csv, only an array") end;
def @tsv: if type == "array" then [.[] | _tsv] | join("\t") else error("\(type) cannot be written as tsv, only an array") end;
def gamma: lgamma;
def limit($n; f): if $n < 0 then error("limit doesn't support negative count") else _limit($n; f) end;
def skip($n; f): if $n < 0 then error("skip doesn't support negative count") else _skip($n; f) end;
def nth($n; f): if $n < 0 then error("nth doesn't support negative indices") else first(_skip($n; f)) end;
def JOIN($index; rows; key): rows | [., $index[key]];
def JOIN($index; key): [JOIN($index; .[]; key)];
def JOIN($index; rows; key; f): JOIN($index; rows; key) | f;
# What `|=` is where what it updates may vanish and paths count in the value as it was.
def _modify(paths; f): reduce path(paths) as $path ([., []]; . as [$value, $gone]
  | [first($value | getpath($path) | f)] as $new
  | if $new == [] then [$value, $gone + [$path]]
    else [($value | setpath($path; $new[0])), $gone] end)
  | .[1] as $gone | .[0] | delpaths($gone);
