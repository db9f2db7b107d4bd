"""Co-simulation with emulators nobody here wrote: Hercules for System/370, QEMU and Bochs for the x86.

``python -m tests.references`` runs it; its figures are in docs/references.md."""
