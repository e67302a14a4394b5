//! The media workflows of `examples/media` through the running engine: submitted as jobs, and what they make is
//! looked at with ffprobe. Where ffmpeg is missing the test says that it was skipped, and jobs say it as well.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::Kit;
use tests::engine::Engine;

const SECONDS_OFF_MAX: f64 = 0.1;

/// The example with a folder for media of its own, and with another PATH where one is given.
async fn publish(kit: &Kit, root: &Path, path: Option<&Path>) {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/media");
    let folder = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(example).unwrap().map(Result::unwrap) {
        if file.path().is_file() {
            std::fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
        }
    }
    let manifest = std::fs::read_to_string(folder.path().join("app.toml")).unwrap();
    assert!(manifest.contains("/tmp/tasklane-media"));
    let mut manifest = manifest.replace("/tmp/tasklane-media", &root.display().to_string());
    if let Some(path) = path {
        manifest = manifest.replace("env = { ", &format!("env = {{ PATH = \"{}\", ", path.display()));
    }
    std::fs::write(folder.path().join("app.toml"), manifest).unwrap();
    let bundle = bundle::pack_directory(folder.path(), &bundle::Bounds::default()).unwrap();
    kit.http.post("/tasklane/v1/apps?latest=true", bundle.bytes).await.expect(200);
}

/// The one place besides its own where a task may write.
fn media_folder() -> TempDir {
    tempfile::tempdir_in("/tmp").unwrap()
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("-version").output().is_ok_and(|output| output.status.success())
}

/// The streams and the format of a file, and its frames where they are asked for.
fn probe(file: &Path, frames: bool) -> Value {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-of", "json", "-show_format", "-show_streams"]);
    if frames {
        command.arg("-show_frames");
    }
    let output = command.arg(file).output().unwrap();
    assert!(output.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn codecs(probed: &Value) -> Vec<&str> {
    let streams = probed["streams"].as_array().unwrap();
    streams.iter().map(|stream| stream["codec_name"].as_str().unwrap()).collect()
}

fn assert_lasts(probed: &Value, seconds: f64) {
    let lasts: f64 = probed["format"]["duration"].as_str().unwrap().parse().unwrap();
    assert!((lasts - seconds).abs() <= SECONDS_OFF_MAX, "{lasts} s and not {seconds} s");
}

/// Runs workflows to their end; gives the files that they made.
struct Studio<'k> {
    engine: Engine<'k>,
    root: PathBuf,
}

impl Studio<'_> {
    async fn run(&self, workflow: &str, parameters: Value) -> Vec<PathBuf> {
        let id = self.engine.start(workflow, parameters).await;
        let job = self.engine.until(id, "completed").await;
        assert_eq!(job["failed"], false, "{:#?}", self.engine.trace(id).await);
        let result: Value = serde_json::from_str(&self.engine.result(id).await).unwrap();
        assert!(result["metadata"]["format"].is_string(), "{result}");
        let files = result["files"].as_array().unwrap().iter();
        files.map(|file| self.root.join("demo").join(file.as_str().unwrap())).collect()
    }
}

#[tokio::test]
async fn each_workflow_makes_what_ffprobe_finds_to_be_right() {
    if !is_there("ffmpeg") || !is_there("ffprobe") {
        // Written past the capture of the test harness: nobody shall take this for a pass.
        let _ =
            writeln!(std::io::stderr(), "SKIPPED: the media workflows, since ffmpeg is not installed here");
        return;
    }
    let kit = Kit::start().await;
    let media = media_folder();
    publish(&kit, media.path(), None).await;
    let studio = Studio { engine: Engine::new(&kit.http), root: media.path().to_owned() };
    studio.engine.set("retry_limit", json!(0)).await;

    let made = studio.run("make_sample", json!({ "output_folder": "in", "duration": 4 })).await;
    assert_eq!(
        (codecs(&probe(&made[0], false)), codecs(&probe(&made[1], false))),
        (vec!["h264"], vec!["aac"])
    );

    let made = studio.run("createmp4", json!({ "content_id": "c1", "source_folder": "in" })).await;
    let probed = probe(&made[0], false);
    assert_eq!(codecs(&probed), ["h264", "aac"]);
    assert_lasts(&probed, 4.0);

    let made = studio.run("trickplay", json!({ "content_id": "c1", "source_folder": "in" })).await;
    let frames = probe(&made[0], true)["frames"].as_array().unwrap().clone();
    assert_eq!(frames.len(), 4);
    assert!(frames.iter().all(|frame| frame["key_frame"] == 1), "{frames:?}");

    let clips = json!([{ "source": "in/c1.mp4", "start": 0.52, "end": 1.52 },
        { "sources": ["in/missing.mp4", "in/video.mp4"], "start": "00:00:02" }]);
    let capture = json!({ "content_id": "c2", "output_folder": "captured", "clips": clips });
    let made = studio.run("vodcapture", capture).await;
    let probed = probe(&made[0], true);
    assert_eq!(codecs(&probed), ["h264", "aac"]);
    assert_lasts(&probed, 3.0);
    let frames = probed["frames"].as_array().unwrap().iter();
    assert_eq!(frames.filter(|frame| frame["media_type"] == "video").count(), 75);
    let left = std::fs::read_dir(made[0].parent().unwrap()).unwrap();
    assert_eq!(left.count(), 1, "the parts are gone");

    let gif = json!({ "content_id": "c1", "source": "in/c1.mp4", "start_at": 1, "duration": "1.5",
        "output_folder": "pictures", "gif_filename": "c1.gif" });
    let made = studio.run("generate_gif", gif).await;
    let probed = probe(&made[0], true);
    assert_eq!(codecs(&probed), ["gif"]);
    assert_eq!(probed["frames"].as_array().unwrap().len(), 15);

    for (name, codec) in [("one.png", "png"), ("one.jpg", "mjpeg")] {
        let frame = json!({ "content_id": "c1", "source": "in/c1.mp4", "frame_time": 2.5,
            "output_folder": "pictures", "image_filename": name });
        let probed = probe(&studio.run("capture_frame", frame).await[0], false);
        assert_eq!(codecs(&probed), [codec]);
        assert_eq!(
            (&probed["streams"][0]["width"], &probed["streams"][0]["height"]),
            (&320.into(), &180.into())
        );
    }

    let thumbnails =
        json!({ "content_id": "c1", "source": "in/c1.mp4", "output_folder": "small", "interval": 1 });
    let made = studio.run("build_thumbnails", thumbnails).await;
    assert_eq!(made.len(), 5);
    assert_eq!(probe(&made[3], false)["streams"][0]["width"], 160);
    let index = std::fs::read_to_string(&made[4]).unwrap();
    assert!(index.contains("00:00:03.000 --> 00:00:04"), "{index}");
    kit.stop().await;
}

#[tokio::test]
async fn a_job_that_asks_for_what_can_not_be_made_says_why() {
    if !is_there("ffmpeg") || !is_there("ffprobe") {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: media jobs with wrong input, since ffmpeg is not installed here"
        );
        return;
    }
    let kit = Kit::start().await;
    let media = media_folder();
    publish(&kit, media.path(), None).await;
    let engine = Engine::new(&kit.http);
    engine.set("retry_limit", json!(0)).await;
    std::fs::create_dir(media.path().join("demo")).unwrap();
    std::fs::write(media.path().join("demo/text.mp4"), "no video").unwrap();
    std::fs::write(media.path().join("another tenant's"), "video").unwrap();
    for (change, reason) in [
        (json!({ "source": "missing.mp4" }), "no such file"),
        (json!({ "source": "../another tenant's" }), "not below the folder"),
        (json!({ "source": "/etc/passwd" }), "not below the folder"),
        (json!({ "source": "http://127.0.0.1/a.mp4" }), "no such file"),
        (json!({ "source": "text.mp4" }), "no media file"),
    ] {
        let mut parameters =
            json!({ "content_id": "c1", "frame_time": 1, "output_folder": "out", "image_filename": "a.png" });
        parameters.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let id = engine.start("capture_frame", parameters).await;
        assert_eq!(engine.until(id, "completed").await["failed"], true);
        let error = engine.task(id).await.1["error"].as_str().unwrap().to_owned();
        assert!(error.contains(reason), "{change}: {error}");
    }
    assert!(engine.refused("capture_frame", json!({ "content_id": "c1" })).await.contains("source"));
    kit.stop().await;
}

#[tokio::test]
async fn without_ffmpeg_a_job_says_so_when_it_starts() {
    let kit = Kit::start().await;
    let (media, programs) = (media_folder(), tempfile::tempdir().unwrap());
    let python = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().unwrap();
    let python = String::from_utf8(python.stdout).unwrap();
    std::os::unix::fs::symlink(python.trim(), programs.path().join("python3")).unwrap();
    publish(&kit, media.path(), Some(programs.path())).await;
    let engine = Engine::new(&kit.http);
    engine.set("retry_limit", json!(0)).await;
    let id = engine.start("make_sample", json!({ "output_folder": "in" })).await;
    assert_eq!(engine.until(id, "completed").await["failed"], true);
    let trace = engine.trace(id).await;
    assert_eq!(trace[0], "Task 'find_tools' started");
    assert!(trace[1].starts_with("ffmpeg is missing on this machine: install ffmpeg"), "{trace:?}");
    assert_eq!(trace.last().unwrap(), "job has failed", "no other step has run");
    assert!(engine.task(id).await.1["error"].as_str().unwrap().starts_with("ffmpeg is missing"));
    kit.stop().await;
}
