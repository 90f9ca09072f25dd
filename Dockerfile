# Builds aorta with its page, runs the unit tests, and keeps the program in an image of its own.
FROM debian:12-slim AS build
RUN apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install \
      gcc libc6-dev cmake ninja-build pkg-config libuv1-dev libosip2-dev libmbedtls-dev libcjson-dev \
      libwebsockets-dev libwebsockets-evlib-uv libssl-dev libcurl4-openssl-dev libhiredis-dev ca-certificates \
      nodejs npm libcmocka-dev openssl redis-server
WORKDIR /aorta
COPY . .
RUN cmake --preset release-tests --log-level=WARNING && cmake --build build
RUN ctest --test-dir build -R '^(unit|contract|structure)' --output-on-failure
RUN cmake --install build --prefix /usr/local --strip

FROM debian:12-slim
RUN apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install \
      libuv1 libosip2-15 libmbedcrypto7 libmbedx509-1 libcjson1 libwebsockets17 libwebsockets-evlib-uv \
      libssl3 libcurl4 libhiredis0.14 ca-certificates \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin aorta
COPY --from=build /usr/local/bin/aorta /usr/local/bin/aorta
COPY --from=build /usr/local/share/aorta /usr/local/share/aorta
COPY tests/example/container/aorta.json /etc/aorta/aorta.json
USER 10001:10001
EXPOSE 5060/udp 5060/tcp 8080/tcp
# aorta drains for drainSeconds (5) and then ends: give it longer (docker stop --time 15).
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["aorta", "-c", "/etc/aorta/aorta.json", "--probe"]
ENTRYPOINT ["aorta"]
CMD ["-c", "/etc/aorta/aorta.json"]
