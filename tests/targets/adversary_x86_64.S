/* SPDX-License-Identifier: MIT */
/* adversary_x86_64.S - frames that no compiler would make: see adversary.h */

#ifdef __x86_64__
	.text

/* CFA = rsp + n, with n changing between calls; fn in rdi, depth in esi. */
	.globl	asm_pushes
	.type	asm_pushes, @function
asm_pushes:
	.cfi_startproc
	pushq	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbx, 0
	pushq	%r12
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r12, 0
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbp, 0
	movq	%rdi, %rbx
	movl	%esi, %r12d
	xorl	%ebp, %ebp		/* no frame pointer for anybody */
	movl	%r12d, %edi
	subl	$1, %edi
	call	*%rbx
	pushq	$1
	.cfi_adjust_cfa_offset 8
	pushq	$2
	.cfi_adjust_cfa_offset 8
	movl	%r12d, %edi
	subl	$2, %edi
	call	*%rbx
	addq	$16, %rsp
	.cfi_adjust_cfa_offset -16
	popq	%rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbp
	popq	%r12
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r12
	popq	%rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbx
	ret
	.cfi_endproc
	.size	asm_pushes, . - asm_pushes

/* DW_CFA_def_cfa_expression: DW_OP_breg7 (rsp) 24; DW_OP_plus_uconst 8. */
	.globl	asm_expression
	.type	asm_expression, @function
asm_expression:
	.cfi_startproc
	subq	$24, %rsp
	.cfi_escape 0x0f, 4, 0x77, 24, 0x23, 8
	leal	-1(%rsi), %eax
	movq	%rdi, %rdx
	movl	%eax, %edi
	call	*%rdx
	addq	$24, %rsp
	.cfi_def_cfa %rsp, 8
	ret
	.cfi_endproc
	.size	asm_expression, . - asm_expression

/* rbp lies far below the CFA: DW_CFA_expression rbp: DW_OP_breg6 (rbp) -128,
 * and the CFA is *(rbp - 136), as where a compiler realigns the stack. */
	.globl	asm_saved_far
	.type	asm_saved_far, @function
asm_saved_far:
	.cfi_startproc
	leaq	8(%rsp), %r10
	.cfi_def_cfa %r10, 0
	andq	$-256, %rsp
	pushq	-8(%r10)
	movq	%rbp, %r11
	leaq	-128(%rsp), %rbp
	subq	$504, %rsp
	movq	%r11, -128(%rbp)
	.cfi_escape 0x10, 6, 3, 0x76, 0x80, 0x7f
	movq	%r10, -136(%rbp)
	.cfi_escape 0x0f, 4, 0x76, 0xf8, 0x7e, 0x06
	leal	-1(%rsi), %eax
	movq	%rdi, %rdx
	movl	%eax, %edi
	call	*%rdx
	movq	-136(%rbp), %r10
	.cfi_def_cfa %r10, 0
	movq	-128(%rbp), %rbp
	.cfi_restore %rbp
	leaq	-8(%r10), %rsp
	.cfi_def_cfa %rsp, 8
	ret
	.cfi_endproc
	.size	asm_saved_far, . - asm_saved_far

/* As in the loader's lazy binding: CFA = rbx + 16. */
	.globl	asm_rbx
	.type	asm_rbx, @function
asm_rbx:
	.cfi_startproc
	pushq	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbx, 0
	movq	%rsp, %rbx
	.cfi_def_cfa_register %rbx
	andq	$-64, %rsp
	subq	$512, %rsp
	leal	-1(%rsi), %eax
	movq	%rdi, %rdx
	movl	%eax, %edi
	call	*%rdx
	movq	%rbx, %rsp
	.cfi_def_cfa_register %rsp
	popq	%rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbx
	ret
	.cfi_endproc
	.size	asm_rbx, . - asm_rbx

	.globl	asm_no_cfi
	.type	asm_no_cfi, @function
asm_no_cfi:
	subq	$40, %rsp
	leal	-1(%rsi), %eax
	movq	%rdi, %rdx
	movl	%eax, %edi
	call	*%rdx
	addq	$40, %rsp
	ret
	.size	asm_no_cfi, . - asm_no_cfi

	.globl	asm_end
	.type	asm_end, @function
asm_end:
	.cfi_startproc
	.cfi_undefined %rip
	subq	$8, %rsp
	leal	-1(%rsi), %eax
	movq	%rdi, %rdx
	movl	%eax, %edi
	call	*%rdx
	addq	$8, %rsp
	ret
	.cfi_endproc
	.size	asm_end, . - asm_end

#endif
	.section .note.GNU-stack, "", @progbits
