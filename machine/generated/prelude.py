"""What is put around translated functions: the primitives that are more than an instruction, and what aliases with what."""

from __future__ import annotations

SHIFTS = {"SHL": "shl", "LSHR": "lshr", "ASHR": "ashr"}

METADATA = """
!0 = !{!"machine"}
!1 = !{!"record", !0}
!2 = !{!"space", !0}
!6 = !{!"map", !0}
!7 = !{!"link", !0}
!3 = !{!1, !1, i64 0}
!4 = !{!2, !2, i64 0}
!5 = !{!6, !6, i64 0}
!8 = !{!7, !7, i64 0}
"""


def _prelude() -> str:
    lines = [f"declare i{bits} @llvm.bswap.i{bits}(i{bits})" for bits in (16, 32, 64)]
    lines += [f"declare void @llvm.{name}.p0.p0.i64(ptr, ptr, i64, i1)" for name in ("memcpy", "memmove")]
    lines.append("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
    lines.append("declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
    lines.append(_MOVE)
    for name, word in SHIFTS.items():
        # an amount of the width or more gives 0, or copies of the sign; the amount is unsigned
        far = "select i1 %in, i64 %r, i64 0" if name != "ASHR" else "select i1 %in, i64 %r, i64 %sign"
        lines.append(f"""define internal i64 @{name}(i64 %a, i64 %n, i64 %w) nounwind alwaysinline {{
  %in = icmp ult i64 %n, %w
  %m = select i1 %in, i64 %n, i64 0
  %r = {word} i64 %a, %m
  %sign = ashr i64 %a, 63
  %x = {far}
  ret i64 %x
}}""")
    for name, word in (("UDIV", "udiv"), ("UREM", "urem")):
        third = ", i64 %m" if name == "UDIV" else ""
        zero = "%m" if name == "UDIV" else "%a"
        lines.append(f"""define internal i64 @{name}(i64 %a, i64 %b{third}) nounwind alwaysinline {{
  %z = icmp eq i64 %b, 0
  %d = select i1 %z, i64 1, i64 %b
  %q = {word} i64 %a, %d
  %r = select i1 %z, i64 {zero}, i64 %q
  ret i64 %r
}}""")
    for name, word, by_minus_one in (("SDIV", "sdiv", "%n"), ("SREM", "srem", "0")):
        zero = "%one" if name == "SDIV" else "%a"
        lines.append(f"""define internal i64 @{name}(i64 %a, i64 %b) nounwind alwaysinline {{
  %z = icmp eq i64 %b, 0
  %m = icmp eq i64 %b, -1
  %zm = or i1 %z, %m
  %d = select i1 %zm, i64 1, i64 %b
  %q = {word} i64 %a, %d
  %n = sub i64 0, %a
  %neg = icmp slt i64 %a, 0
  %one = select i1 %neg, i64 1, i64 -1
  %q1 = select i1 %m, i64 {by_minus_one}, i64 %q
  %r = select i1 %z, i64 {zero}, i64 %q1
  ret i64 %r
}}""")
    return "\n".join(lines)


# A byte is moved after all before it: where the target starts within the source, they are seen again.
_MOVE = """define internal i64 @MOVE(i64 %to, i64 %from, i64 %n) nounwind noinline {
entry:
  %a = inttoptr i64 %to to ptr
  %b = inttoptr i64 %from to ptr
  %ahead = sub i64 %to, %from
  %apart = icmp uge i64 %ahead, %n
  br i1 %apart, label %whole, label %near
whole:
  call void @llvm.memmove.p0.p0.i64(ptr %a, ptr %b, i64 %n, i1 false)
  ret i64 %n
near:
  %one = icmp eq i64 %ahead, 1
  br i1 %one, label %filled, label %again
filled:
  %byte = load i8, ptr %b
  call void @llvm.memset.p0.i64(ptr %a, i8 %byte, i64 %n, i1 false)
  ret i64 %n
again:
  %i = phi i64 [0, %near], [%next, %again]
  %p = getelementptr i8, ptr %b, i64 %i
  %q = getelementptr i8, ptr %a, i64 %i
  %moved = load volatile i8, ptr %p
  store volatile i8 %moved, ptr %q
  %next = add i64 %i, 1
  %done = icmp eq i64 %next, %n
  br i1 %done, label %end, label %again
end:
  ret i64 %n
}"""
PRELUDE = _prelude()
