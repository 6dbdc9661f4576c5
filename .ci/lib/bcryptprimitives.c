/* The one function of bcryptprimitives.dll that Rust's standard library calls. Wine has the DLL since
 * version 9; Debian 12 has version 8. */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID bytes, ULONG length);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T length)
{
    return SystemFunction036(bytes, (ULONG)length);
}
