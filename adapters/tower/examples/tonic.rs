//! A gRPC client over several servers, one of which answers UNAVAILABLE until it is ejected.
//!
//! No protoc is needed: the messages are prost structs, and the method is named by its path.

use std::convert::Infallible;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};

use http::uri::PathAndQuery;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tonic::client::Grpc;
use tonic::transport::Endpoint;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use vsched::config::RealServer;
use vsched::{Config, Director};
use vsched_tower::{BalanceLayer, GrpcStatus, PerServer};

#[derive(Clone, PartialEq, prost::Message)]
struct HelloRequest {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct HelloReply {
    #[prost(string, tag = "1")]
    message: String,
}

const SERVICE: &str = "tcp 10.0.0.1:50051";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // The service's address is only its name here; clients are in this process.
    let rules = "-A -t 10.0.0.1:50051 -s lc --vsched-ejection failures=3,base-time=30";
    let mut config: Config = rules.parse()?;
    for works in [true, true, false] {
        config.services[0].servers.push(RealServer::new(serve(works).await?));
    }
    let director = Director::new(&config)?;

    // One channel per server, made when the server is first picked.
    let channels = PerServer::new(&director, |pick| {
        let uri = format!("http://{}", pick.address());
        Endpoint::from_shared(uri).expect("an address is a valid authority").connect_lazy()
    });
    let balance = BalanceLayer::new(director.handle(), SERVICE)?
        .classify(GrpcStatus::new())
        .balance(channels);

    let mut client = Grpc::new(balance);
    let (mut answers, mut failures) = (0, 0);
    for number in 0..60 {
        client.ready().await?;
        let request = Request::new(HelloRequest { name: number.to_string() });
        let path = PathAndQuery::from_static("/hello.Greeter/SayHello");
        let codec = ProstCodec::<HelloRequest, HelloReply>::default();
        match client.unary(request, path, codec).await {
            Ok(reply) => {
                assert_eq!(reply.into_inner().message, format!("hello {number}"));
                answers += 1;
            }
            Err(status) => {
                assert_eq!(status.code(), tonic::Code::Unavailable);
                failures += 1;
            }
        }
    }
    println!("{answers} answers, {failures} failures");
    for (_, server) in director.servers(director.service(SERVICE)?).unwrap_or_default() {
        let health = server.health;
        let ejected = if health.ejected { ", ejected" } else { "" };
        println!(
            "{}: {} done, {} failed{ejected}",
            server.server.address, health.done, health.failed
        );
    }
    Ok(())
}

/// A gRPC server, without generated code.
async fn serve(works: bool) -> Result<SocketAddr, Box<dyn Error>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let say_hello = move |request: Request<HelloRequest>| async move {
        let message = format!("hello {}", request.into_inner().name);
        if works { Ok(Response::new(HelloReply { message })) } else { Err(Status::unavailable("")) }
    };
    let answer = move |request: http::Request<hyper::body::Incoming>| async move {
        let codec = ProstCodec::<HelloReply, HelloRequest>::default();
        let method = tower::service_fn(say_hello);
        Ok::<_, Infallible>(tonic::server::Grpc::new(codec).unary(method, request).await)
    };
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(http.serve_connection(TokioIo::new(stream), service_fn(answer)));
        }
    });
    Ok(address)
}
