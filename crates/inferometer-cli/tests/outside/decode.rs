//! The loop that is checked.

fn main() {
    inferometer::overhead::run("decode", || {
        let mut engine = outside::Engine::load();
        move || engine.step()
    });
}
