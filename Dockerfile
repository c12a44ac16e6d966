# modelsd with ONNX Runtime and the bundled models.
#
#   docker build -t modelsd .
#   docker run --rm -p 5001:5001 modelsd
#   docker run --rm -p 5001:5001 -v "$PWD/my-models:/models:ro" modelsd serve -m models:/mine/1 --registry /models
#   docker run --rm -p 5001:5001 -e MLFLOW_TRACKING_URI=http://mlflow:5000 -v modelsd:/var/cache/modelsd modelsd \
#     serve -m models:/mine/Production
#
# /var/cache/modelsd keeps fetched models and what was served last: on a volume, it outlives the container, and an outage.
# It is all that is written to: the root may be read-only (--read-only). MODELSD_PORT moves server and health check.

FROM rust:1.95.0-slim-bookworm AS build
ENV RUSTUP_TOOLCHAIN=1.95.0
WORKDIR /build
# The dependencies alone, with a program that does nothing: this layer is made anew only when they change.
COPY Cargo.toml Cargo.lock build.rs ./
COPY scripts/link-order.txt scripts/
COPY benches benches
RUN mkdir src && echo 'fn main() {}' > src/main.rs && touch src/lib.rs \
    && cargo build --profile dist --locked --bin modelsd
COPY src src
# Cargo goes by the times of files, and those of the sources may be older than the program above.
RUN touch src/main.rs src/lib.rs \
    && cargo build --profile dist --locked --bin modelsd \
    && cp target/dist/modelsd /modelsd

FROM python:3.11-slim-bookworm AS onnxruntime
WORKDIR /build
COPY scripts/fetch-onnxruntime.sh scripts/
RUN scripts/fetch-onnxruntime.sh --into /onnxruntime

FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="modelsd" \
      org.opencontainers.image.description="Serves the models of an MLflow registry over HTTP, without Python" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /app
# Whom to trust when a registry or a store is asked over https. Of any version: the newest is the one to have.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -o 65532 -g 65532 /var/cache/modelsd
ENV MODELSD_CACHE_DIR=/var/cache/modelsd \
    MODELSD_HOST=0.0.0.0 \
    MODELSD_PORT=5001
VOLUME /var/cache/modelsd
COPY --from=onnxruntime /onnxruntime/LICENSE /onnxruntime/ThirdPartyNotices.txt licenses/onnxruntime/
COPY --from=onnxruntime /onnxruntime/libonnxruntime.so ./
COPY --from=build /modelsd ./
COPY LICENSE licenses/modelsd/
COPY models models
USER 65532:65532
EXPOSE 5001
# 503 until the models are loaded. A server that may have none yet (--all-models) wants --live here.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["/app/modelsd", "health", "--timeout", "4"]
ENTRYPOINT ["/app/modelsd"]
CMD ["serve", "-m", "models:/iris/Production"]
