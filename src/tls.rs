//! The self-signed certificate of the HTTPS port: made once, kept in the data folder.

use std::io;
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate ready to serve.
pub struct Certificate {
    pub path: PathBuf,
    pub config: ServerConfig,
}

/// Reads the certificate of the data folder, or makes it.
pub fn certificate(data_dir: &Path, public_host: Option<&str>) -> io::Result<Certificate> {
    let folder = data_dir.join("tls");
    let (path, key_path) = (folder.join("cert.pem"), folder.join("key.pem"));
    if !(path.exists() && key_path.exists()) {
        std::fs::create_dir_all(&folder)?;
        make(&path, &key_path, public_host)?;
    }
    let certificate = CertificateDer::from_pem_file(&path).map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_file(&key_path).map_err(io::Error::other)?;
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .map_err(io::Error::other)?;
    Ok(Certificate { path, config })
}

fn make(path: &Path, key_path: &Path, public_host: Option<&str>) -> io::Result<()> {
    let mut names: Vec<String> = [
        "localhost",
        "127.0.0.1",
        "::1",
        "live.aliyuncs.com",
        "location-readonly.aliyuncs.com",
    ]
    .map(str::to_owned)
    .to_vec();
    names.extend(public_host.map(str::to_owned));
    let params = CertificateParams::new(names).map_err(io::Error::other)?;
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let certificate = params.self_signed(&key).map_err(io::Error::other)?;
    write_private(key_path, &key.serialize_pem())?;
    std::fs::write(path, certificate.pem())
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}
