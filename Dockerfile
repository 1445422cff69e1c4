# localyun in a small Debian image: one binary, one user, one folder of data. docs/docker.md tells what the settings are for.
#
#   docker build -t localyun .
#   docker run --rm -p 8080:8080 -p 1935:1935 -p 8088:8088 -p 9000:9000 -v localyun:/data \
#     -e LOCALYUN_CONTROL_TOKEN=local -e LOCALYUN_PUBLIC_HOST=localhost --add-host host.docker.internal:host-gateway localyun

FROM rust:1.95-bookworm AS build
WORKDIR /build
COPY . .
# What `localyun --version` tells: --build-arg LOCALYUN_BUILD="$(git log -1 --format='%h %cs')"
ARG LOCALYUN_BUILD=""
# The registry and the target folder stay in the builder's cache; only the binary leaves this stage.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --locked --profile dist --bin localyun \
    && install -D target/dist/localyun /out/localyun

FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="localyun" \
      org.opencontainers.image.description="Alibaba Cloud ApsaraVideo Live on your own machine" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
# The distribution's certificates, for stores and receivers of callbacks outside; whatever version it has today.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin localyun \
    && install -d -o localyun -g localyun /data
COPY --from=build /out/localyun /usr/local/bin/localyun
COPY LICENSE-MIT LICENSE-APACHE /usr/share/doc/localyun/
# By its number, so that a cluster can see that it is not root.
USER 10001
# Inside a container every interface is the right one; which ports are reachable is decided when it is run.
ENV LOCALYUN_DATA_DIR=/data \
    LOCALYUN_API_ADDR=0.0.0.0:8080 \
    LOCALYUN_RTMP_ADDR=0.0.0.0:1935 \
    LOCALYUN_PLAY_ADDR=0.0.0.0:8088 \
    LOCALYUN_OSS_ADDR=0.0.0.0:9000
VOLUME /data
EXPOSE 8080 1935 8088 9000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=6 \
    CMD ["localyun", "health", "--endpoint", "http://127.0.0.1:8080"]
ENTRYPOINT ["localyun"]
CMD ["serve"]
