// The first stage of an exported model in C++: a BGR image in, plates with four corners out. Needs onnxruntime only.
//
//     first_stage MODEL.onnx IMAGE.ppm
//
// docs/cpp.md explains the steps. The numbers are those of nanodet_kp_core's Detector(second_stage=False).
#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

constexpr float SCORE = 0.5f, OVERLAP = 0.5f, LOWEST_MERGED = SCORE / 2;
constexpr std::uint8_t PAD = 114;
constexpr std::int64_t COLUMNS = 14;

struct Image {
  int width, height;
  std::vector<std::uint8_t> pixels;  // [height, width, 3], BGR

  int at(int x, int y, int channel) const { return pixels[(std::size_t(y) * width + x) * 3 + channel]; }
};

// One row of the output: score, class id, x_min, y_min, x_max, y_max, x0, y0, .. x3, y3.
using Row = std::array<float, COLUMNS>;

Image halved(const Image& image) {
  Image half{image.width / 2, image.height / 2, {}};
  for (int y = 0; y < half.height; ++y)
    for (int x = 0; x < 2 * half.width; x += 2)
      for (int c = 0; c < 3; ++c)
        half.pixels.push_back((image.at(x, 2 * y, c) + image.at(x + 1, 2 * y, c) + image.at(x, 2 * y + 1, c) +
                               image.at(x + 1, 2 * y + 1, c) + 2) / 4);
  return half;
}

struct Tap {
  int first, second, near, far;  // two pixels of a row or column and their weights, which add up to 2048
};

// The bilinear weights of `to` pixels out of `from`, centers on centers, in the whole numbers that OpenCV takes.
std::vector<Tap> taps(int from, int to) {
  std::vector<Tap> all;
  for (int i = 0; i < to; ++i) {
    const float place = float((i + 0.5) * from / to - 0.5);
    const float inside = std::clamp(place, 0.0f, float(from - 1));
    const int first = int(inside), far = int(std::lrint((inside - first) * 2048));
    all.push_back({first, std::min(first + 1, from - 1), 2048 - far, far});
  }
  return all;
}

struct Letterbox {
  double scale_x, scale_y;           // image pixels to input pixels
  int left, top;                     // input pixels beside the resized image
  std::vector<std::uint8_t> planes;  // [3, height, width], in BGR order

  Letterbox(Image image, int width, int height) : planes(3 * std::size_t(width) * height, PAD) {
    const double ratio = std::min(double(width) / image.width, double(height) / image.height);
    const int to_width = std::clamp(int(std::lrint(image.width * ratio)), 1, width);
    const int to_height = std::clamp(int(std::lrint(image.height * ratio)), 1, height);
    scale_x = double(to_width) / image.width, scale_y = double(to_height) / image.height;
    left = (width - to_width) / 2, top = (height - to_height) / 2;
    while (image.width > 2 * to_width && image.height > 2 * to_height && image.width % 2 == 0 && image.height % 2 == 0)
      image = halved(image);
    const auto columns = taps(image.width, to_width), lines = taps(image.height, to_height);
    for (int y = 0; y < to_height; ++y)
      for (int x = 0; x < to_width; ++x)
        for (int c = 0; c < 3; ++c) {
          const Tap &u = columns[x], &v = lines[y];
          const int upper = u.near * image.at(u.first, v.first, c) + u.far * image.at(u.second, v.first, c);
          const int lower = u.near * image.at(u.first, v.second, c) + u.far * image.at(u.second, v.second, c);
          planes[(std::size_t(c) * height + top + y) * width + left + x] =
              ((v.near * (upper >> 4) >> 16) + (v.far * (lower >> 4) >> 16) + 2) >> 2;
        }
  }

  // All points of a row, from input pixels to image pixels. The center of the left-top pixel is (0, 0).
  void to_image(Row& row) const {
    for (int i = 2; i < COLUMNS; i += 2) {
      row[i] = (row[i] - left + 0.5) / scale_x - 0.5;
      row[i + 1] = (row[i + 1] - top + 0.5) / scale_y - 0.5;
    }
  }
};

float iou(const Row& a, const Row& b) {
  const float width = std::min(a[4], b[4]) - std::max(a[2], b[2]), height = std::min(a[5], b[5]) - std::max(a[3], b[3]);
  if (width <= 0 || height <= 0) return 0;
  return width * height / ((a[4] - a[2]) * (a[5] - a[3]) + (b[4] - b[2]) * (b[5] - b[3]) - width * height);
}

// Rows to plates: non-maximum suppression over all classes. The corners of a plate are the mean over the rows that it
// suppresses, also of those below SCORE, weighted by the squares of the scores.
std::vector<Row> plates(const float* output, std::int64_t rows) {
  std::vector<Row> candidates;
  for (const float* row = output; row != output + rows * COLUMNS; row += COLUMNS)
    if (row[0] >= LOWEST_MERGED && std::all_of(row, row + COLUMNS, [](float value) { return std::isfinite(value); }))
      std::copy_n(row, COLUMNS, candidates.emplace_back().begin());
  std::stable_sort(candidates.begin(), candidates.end(), [](const Row& a, const Row& b) { return a[0] > b[0]; });
  std::vector<Row> kept;
  std::vector<std::array<double, 9>> sums;  // weight, weighted corners
  for (const Row& row : candidates) {
    const auto overlaps = [&row](const Row& better) { return iou(better, row) > OVERLAP; };
    const std::size_t owner = std::find_if(kept.begin(), kept.end(), overlaps) - kept.begin();
    if (owner == kept.size()) {
      if (row[0] < SCORE) continue;
      kept.push_back(row), sums.push_back({});
    }
    const double weight = double(row[0]) * row[0];
    sums[owner][0] += weight;
    for (int i = 0; i < 8; ++i) sums[owner][1 + i] += weight * row[6 + i];
  }
  for (std::size_t k = 0; k < kept.size(); ++k)
    for (int i = 0; i < 8; ++i) kept[k][6 + i] = sums[k][1 + i] / sums[k][0];
  return kept;
}

std::vector<Row> detect(Ort::Session& session, const Image& image) {
  const auto shape = session.GetInputTypeInfo(0).GetTensorTypeAndShapeInfo().GetShape();
  if (shape.size() != 4 || shape[0] != 1 || shape[1] != 3 || shape[2] < 1 || shape[3] < 1)
    throw std::runtime_error("expected a model with an input of [1, 3, height, width]");
  Letterbox input(image, int(shape.at(3)), int(shape.at(2)));
  const auto memory = Ort::MemoryInfo::CreateCpu(OrtDeviceAllocator, OrtMemTypeCPU);
  auto blob = Ort::Value::CreateTensor<std::uint8_t>(memory, input.planes.data(), input.planes.size(), shape.data(), 4);
  const char *in = "image", *out = "output";
  auto outputs = session.Run(Ort::RunOptions{nullptr}, &in, &blob, 1, &out, 1);
  const auto rows = outputs[0].GetTensorTypeAndShapeInfo().GetShape();  // [1, rows, 14]
  if (rows.size() != 3 || rows[2] != COLUMNS) throw std::runtime_error("expected a model that decodes in the graph");
  auto found = plates(outputs[0].GetTensorMutableData<float>(), rows[1]);
  for (Row& row : found) input.to_image(row);
  return found;
}

Image read_ppm(const std::string& path) {  // binary, 8 bits, no comments
  std::ifstream file(path, std::ios::binary);
  std::string kind;
  Image image{0, 0, {}};
  int most = 0;
  file >> kind >> image.width >> image.height >> most;
  if (!file || file.get() == EOF || kind != "P6" || most != 255 || image.width < 1 || image.height < 1)
    throw std::runtime_error(path + ": expected a binary PPM image of 8 bits");
  image.pixels.assign(std::istreambuf_iterator<char>(file), {});
  if (image.pixels.size() != 3 * std::size_t(image.width) * image.height)
    throw std::runtime_error(path + ": expected as many bytes as pixels, got a file that is cut off");
  for (std::size_t i = 0; i < image.pixels.size(); i += 3) std::swap(image.pixels[i], image.pixels[i + 2]);  // to BGR
  return image;
}

int main(int argc, char** argv) try {
  if (argc != 3) throw std::runtime_error("usage: first_stage MODEL.onnx IMAGE.ppm");
  Ort::Env env;
  Ort::SessionOptions options;
  options.SetIntraOpNumThreads(1);
  Ort::Session session(env, argv[1], options);
  for (const Row& plate : detect(session, read_ppm(argv[2]))) {
    std::printf("class %d score %.3f corners", int(plate[1]), plate[0]);
    for (int i = 6; i < COLUMNS; ++i) std::printf(" %.2f", plate[i]);
    std::printf("\n");
  }
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
