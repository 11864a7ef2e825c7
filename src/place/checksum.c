#include "place/checksum.h"

#include "place/file_format.h"

#define POLYNOMIAL UINT32_C(0xedb88320) /* bits reversed */

void checksum_init(Checksum *checksum)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? POLYNOMIAL : 0);
        }
        checksum->tables[0][i] = crc;
    }
    for (uint32_t i = 0; i < 256; i++) {
        for (int t = 1; t < 8; t++) {
            uint32_t crc = checksum->tables[t - 1][i];
            checksum->tables[t][i] = (crc >> 8) ^ checksum->tables[0][crc & 255];
        }
    }
}

uint32_t checksum_add(const Checksum *checksum, uint32_t crc, const void *bytes, size_t length)
{
    const uint32_t(*t)[256] = checksum->tables;
    const uint8_t *at = bytes;

    crc = ~crc;
    for (; length >= 8; length -= 8, at += 8) {
        uint32_t low = format_u32(at) ^ crc, high = format_u32(at + 4);
        crc = t[7][low & 255] ^ t[6][low >> 8 & 255] ^ t[5][low >> 16 & 255] ^ t[4][low >> 24] ^
              t[3][high & 255] ^ t[2][high >> 8 & 255] ^ t[1][high >> 16 & 255] ^ t[0][high >> 24];
    }
    for (; length > 0; length--, at++) {
        crc = (crc >> 8) ^ t[0][(crc ^ *at) & 255];
    }
    return ~crc;
}
