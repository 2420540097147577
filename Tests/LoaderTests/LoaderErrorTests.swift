import Loader
import Testing

@Suite struct LoaderErrorTests {
    @Test func `an error says what, where and what to do`() {
        let error = LoaderError(
            .options, file: "d.pando", place: "batch size", message: "is 0", advice: "give a larger one")
        #expect(error.description == "d.pando, batch size: is 0; give a larger one")
    }
}
