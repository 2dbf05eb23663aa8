# The server of gsa on CPU. Linted with hadolint, but never built by this project's checks, which have no
# container engine.
#   docker build -t gsa . && docker run -p 127.0.0.1:8000:8000 -e GSA_TOKEN=SECRET gsa
# A server at 0.0.0.0 answers to any host name; name yours:
#   docker run -p 8000:8000 -e GSA_TOKEN=SECRET gsa gsa serve --host 0.0.0.0 --allowed-host labels.example.org
FROM python:3.11-slim

RUN useradd --create-home --uid 1000 gsa
WORKDIR /opt/gsa
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY src src
RUN pip install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu torch==2.13.0 \
    && pip install --no-cache-dir -c constraints.txt '.[web,language,documents]'
USER 1000
# The backbone is unpacked once, when the image is built.
RUN gsa predict sentiment "Ready." --quiet
EXPOSE 8000
HEALTHCHECK CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/ready')"]
CMD ["gsa", "serve", "--host", "0.0.0.0"]
