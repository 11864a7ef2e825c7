#!/bin/sh
# One line about this guest, and how often it was asked.
echo >>/run/requests # one line a request: appending needs no lock
read -r count _ <<COUNT
$(wc -l /run/requests)
COUNT
read -r name </proc/sys/kernel/hostname
read -r uptime _ </proc/uptime
address=
if [ -e /run/address ]; then
    read -r address </run/address
fi
printf 'Content-Type: application/json\r\n\r\n'
printf '{"hostname":"%s","address":"%s","uptime_s":%s,"requests":%s}\n' \
    "$name" "$address" "$uptime" "$count"
