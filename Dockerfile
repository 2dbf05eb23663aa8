# The server of gsa on CPU. Not built by this project's checks, which have no container engine.
#   docker build -t gsa . && docker run -p 8000:8000 -e GSA_TOKEN=SECRET gsa
FROM python:3.11-slim

RUN useradd --create-home gsa
WORKDIR /opt/gsa
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY src src
RUN pip install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu torch==2.13.0 \
    && pip install --no-cache-dir -c constraints.txt '.[web,language]'
USER gsa
# The backbone is unpacked once, when the image is built.
RUN gsa predict sentiment "Ready." --quiet
EXPOSE 8000
HEALTHCHECK CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/ready')"]
CMD ["gsa", "serve", "--host", "0.0.0.0"]
