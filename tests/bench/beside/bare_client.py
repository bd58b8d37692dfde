"""Asks the canned EC2 the same thing again and again over one connection: what an answer takes beyond the chosen latency.

Prints the median round trip in milliseconds.
"""

import http.client
import os
import ssl
import statistics
import sys
import time
from urllib.parse import urlsplit

BODY = "Action=DescribeVpcs&Version=2016-11-15&MaxResults=1000"


def main(times):
    url = urlsplit(os.environ["AWS_ENDPOINT_URL_EC2"])
    tls = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
    connection = http.client.HTTPSConnection(url.hostname, url.port, context=tls)
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        connection.request("POST", "/", BODY)
        connection.getresponse().read()
        taken.append(1000 * (time.perf_counter() - began))
    print(statistics.median(taken))


if __name__ == "__main__":
    main(int(sys.argv[1]))
