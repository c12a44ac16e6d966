# modelsd with ONNX Runtime and the bundled models.
#
#   docker build -t modelsd .
#   docker run --rm -p 5001:5001 modelsd
#   docker run --rm -p 5001:5001 -v "$PWD/my-models:/models:ro" modelsd serve -m models:/mine/1 --registry /models --host 0.0.0.0
#   docker run --rm -p 5001:5001 -e MLFLOW_TRACKING_URI=http://mlflow:5000 -v modelsd:/var/cache/modelsd modelsd \
#     serve -m models:/mine/Production --host 0.0.0.0
#
# /var/cache/modelsd keeps fetched models and what was served last: on a volume, it outlives the container, and an outage.
#
# Caches of the builder hold the compiled dependencies, so a change of the sources compiles only modelsd. There is no
# HEALTHCHECK, since the image has neither curl nor a use for a shell: let the orchestrator ask
# GET /health/live and GET /health/ready.

FROM rust:1.95.0-slim-bookworm AS build
ENV RUSTUP_TOOLCHAIN=1.95.0
WORKDIR /build
COPY Cargo.toml Cargo.lock build.rs ./
COPY benches benches
COPY src src
RUN --mount=type=cache,target=/build/target --mount=type=cache,target=/usr/local/cargo/registry \
    cargo build --profile dist --locked --bin modelsd && cp target/dist/modelsd /modelsd

FROM python:3.11-slim-bookworm AS onnxruntime
WORKDIR /build
COPY scripts/fetch-onnxruntime.sh scripts/
RUN scripts/fetch-onnxruntime.sh --into /onnxruntime

FROM debian:bookworm-slim
WORKDIR /app
# Whom to trust when a registry or a store is asked over https.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
RUN install -d -o 65532 -g 65532 /var/cache/modelsd
ENV MODELSD_CACHE_DIR=/var/cache/modelsd
VOLUME /var/cache/modelsd
COPY --from=onnxruntime /onnxruntime/LICENSE /onnxruntime/ThirdPartyNotices.txt licenses/onnxruntime/
COPY --from=onnxruntime /onnxruntime/libonnxruntime.so ./
COPY --from=build /modelsd ./
COPY LICENSE licenses/modelsd/
COPY models models
USER 65532:65532
EXPOSE 5001
ENTRYPOINT ["/app/modelsd"]
CMD ["serve", "-m", "models:/iris/Production", "--host", "0.0.0.0", "--port", "5001"]
